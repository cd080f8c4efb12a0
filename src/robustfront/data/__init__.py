"""Images: download and verify, read, split, store as uint8, augment on the device.

`store.prepare` is the `data` step of the pipeline, `store.load` what training and evaluation call.
"""
