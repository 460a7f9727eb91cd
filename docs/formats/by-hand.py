#!/usr/bin/env python3
"""One disk of one point of a replica, as a raw image, without Understudy: the steps of README.md beside this file.

    by-hand.py FOLDER IMAGE LINE:SEQUENCE DISK OUT

FOLDER holds the manifest; IMAGE is a raw copy of the disk's base image ("-": none was made yet). Needs zstd.
"""
import json, struct, subprocess, sys


def crc32c(data, table=[]):
    if not table:
        for n in range(256):
            for _ in range(8):
                n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
            table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def records(path, start=4096):
    """(kind, disk, sequence, offset, length, body) until something is no whole record."""
    data = open(path, "rb").read()
    at = start
    while data[at:at + 4] == b"USR1":
        head = data[at:at + 80]
        kind, encoding, _, disk = struct.unpack_from("<BBHH", head, 6)
        sequence, offset, length, size, check = struct.unpack_from("<QqqII", head, 32)
        payload = data[at + 80:at + 80 + size]
        if crc32c(head[:76]) != struct.unpack_from("<I", head, 76)[0] or crc32c(payload) != check:
            print(f"{path}: no whole record at {at}", file=sys.stderr)
            return
        if encoding == 1:
            payload = subprocess.run(["zstd", "-dc"], input=payload, capture_output=True, check=True).stdout
        yield kind, disk, sequence, offset, length, payload
        at += 80 + size


def segments(folder, run):
    number = run["from"]
    while run["through"] is None or number <= run["through"]:
        path = f"{folder}/journal/{number:016d}.seg"
        try:
            open(path).close()
        except FileNotFoundError:
            if run["through"] is not None:
                raise
            return
        yield path
        number += 1


def main(folder, image, point, disk, out):
    line, wanted, disk = point.rsplit(":", 1)[0], int(point.rsplit(":", 1)[1]), int(disk)
    manifest = json.loads(open(f"{folder}/manifest", "rb").read().split(b"\n", 1)[1])
    pin = next((p for p in manifest["pins"] if p["point"] == point), None)
    after, kept = manifest["applied"]["sequence"], manifest["applied"]["records"]
    half_a_seed = manifest["awaitsSeed"] and not manifest["applying"]
    content = bytearray(b"" if image == "-" or half_a_seed else open(image, "rb").read())

    def write(kind, offset, length, body):
        if len(content) < offset + length:
            content.extend(bytes(offset + length - len(content)))
        content[offset:offset + length] = body if kind == 1 else bytes(length)

    if pin and (wanted < after or pin["through"] < wanted):
        after, wanted, kept, number = pin["base"], pin["through"], pin["records"], 1
        while pin["hasPreImages"]:
            try:
                for kind, of, _, offset, length, body in records(f"{folder}/pins/{pin['id']}-{number:016d}.seg"):
                    if of == disk:
                        write(kind, offset, length, body)
            except FileNotFoundError:
                break
            number += 1

    geometry = None
    for kind, _, _, _, _, body in records(f"{folder}/{kept['name']}", 0) if kept else []:
        geometry = body if kind == 4 else geometry
    for run in manifest["segments"]:
        through = min(wanted, run["lastSequence"] or wanted)
        for path in segments(folder, run):
            for kind, of, sequence, offset, length, body in records(path):
                if after < sequence <= through:
                    geometry = body if kind == 4 else geometry
                    if kind <= 2 and of == disk:
                        write(kind, offset, length, body)

    at, size = 4, None
    for _ in range(struct.unpack_from("<H", geometry, 2)[0]):
        number, name = struct.unpack_from("<HxB", geometry, at)
        size = struct.unpack_from("<q", geometry, at + 8)[0] if number == disk else size
        at += 16 + name
    if size is None:
        sys.exit(f"the point has no disk {disk}")
    content.extend(bytes(max(0, size - len(content))))
    open(out, "wb").write(content[:size])


main(*sys.argv[1:])
