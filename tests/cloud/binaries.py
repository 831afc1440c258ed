"""Whether Lambda can run these binaries: prints the one architecture they are built for (`x86_64` or `arm64`), as the template's
parameter has it; exit 1, with a sentence, when they differ in it or want a newer C library than provided.al2023 has."""

import re
import sys

# Amazon Linux 2023.
GLIBC = (2, 34)
# ELF: `e_machine`, two bytes at 18.
MACHINES = {62: "x86_64", 183: "arm64"}


def look(path):
    with open(path, "rb") as file:
        binary = file.read()
    if binary[:4] != b"\x7fELF":
        sys.exit(f"{path} is no binary of Linux: build on Linux, or with cargo-lambda")
    wanted = max((tuple(map(int, held.split(b"."))) for held in re.findall(rb"GLIBC_(\d+\.\d+)(?=[\0.])", binary)), default=(0, 0))
    if wanted > GLIBC:
        sys.exit(f"{path} wants glibc {wanted[0]}.{wanted[1]}, and Lambda's provided.al2023 has {GLIBC[0]}.{GLIBC[1]}: build on an older "
                 "system (Debian 12, Amazon Linux 2023), or with `cargo lambda build --release`")
    machine = int.from_bytes(binary[18:20], "little")
    return MACHINES.get(machine) or sys.exit(f"{path} is built for a processor that Lambda does not have (ELF machine {machine})")


architectures = {look(path) for path in sys.argv[1:]}
if len(architectures) != 1:
    sys.exit(f"the binaries are built for different processors: {sorted(architectures)}")
print(*architectures)
