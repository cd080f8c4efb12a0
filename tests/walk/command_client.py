"""Forwards a command to the engine server: `command_client.py SOCKET NAME [ARGUMENT ...]`."""

import json
import os
import socket
import sys

address, name, *arguments = sys.argv[1:]
request = {
    "name": name,
    "arguments": arguments,
    "folder": os.getcwd(),
    "environment": dict(os.environ),
}
text = json.dumps(request).encode()
connection = socket.socket(socket.AF_UNIX)
connection.connect(address)
connection.sendall(len(text).to_bytes(4, "big"))
socket.send_fds(connection, [b"x"], [1, 2])
connection.sendall(text)
answer = connection.recv(1)
sys.exit(answer[0] if answer else 70)
