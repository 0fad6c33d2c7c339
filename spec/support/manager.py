"""A service manager for spec/support/manager.lua: receives what sd_notify(3) sends.

    manager.py PATH    prints "listening", then a line a datagram, its own lines joined by "; "
"""
import os
import socket
import sys

receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
print("listening", file=sys.stderr, flush=True)
while True:
    print(receiver.recv(4096).decode().replace("\n", "; "), file=sys.stderr, flush=True)
