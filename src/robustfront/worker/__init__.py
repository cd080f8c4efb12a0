"""Jobs that start at once: a process that has imported what they need, and forks one for each.

A local run of Snakemake starts a worker (`starting`), which listens on a Unix socket without a file and ends
when Snakemake does. What the rules call is a client (`client`), which starts in hundredths of a second: it
hands arguments, environment, folder and descriptors to the worker, passes signals on, and ends as the job
does. The worker (`serving`) imports what a verb needs when the first job of it comes, and forks; the child
(`child`) takes over what the client gave it and runs the command line. If the worker is gone, or refuses, the
client becomes the job itself.
"""
