"""A folder with every node type and odd names, and a listing of any folder with all its metadata, one entry a line.

usage: rich-tree.py make DIR [BIG_MIB] | rich-tree.py list DIR

It knows nothing of the code under test: what it lists comes straight from the system calls. Run by root it makes
everything; run by others it leaves out what they may not make (devices, foreign owners, security attributes).
"""
import hashlib, os, random, socket, stat, struct, sys

ODD_NAMES = [
    b"plain", b"with space", b"quote\"back\\slash", b"amp<&>", b"tab\there", b"new\nline", b"bell\x07", b"del\x7f",
    b"bad\xff\xfeutf8", b"\xed\xa0\x80lone", "ünïcode".encode(), "emoji\U0001f600".encode(), "nbsp\u00a0".encode(),
    "zero\u200bwidth".encode(), "repl\ufffd".encode(), "line\u2028sep".encode(), b"-dash", b"'single'", b"a.b", b"a-b",
    b"a", b"A", b"\x01ctl", b"n" * 255, "priv\ue000".encode(), b"trailing ", b"$VAR", b"*star?[x]", b"~tilde", b"...",
    b"\\x00", b"#hash", b"%s%d", "\ufeffbom".encode(), "new15\U0001fae8".encode(), "astral\U000e0100".encode(),
    "e\u0301 combining".encode(), "\u202ertl".encode(), b"\xc3", b"\xf4\x90\x80\x80", b" leading", b"\r",
]
BIG_SEED = 20240229


def attempt(action, *arguments, **named):
    """What needs rights or a file system we may not have is left out."""
    try:
        action(*arguments, **named)
    except OSError as error:
        print(f"left out: {error}", file=sys.stderr)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def make_names(folder):
    os.mkdir(folder)
    for i, name in enumerate(ODD_NAMES):
        write(os.path.join(folder, name), b"content %d\n" % i)
    for name in (b"dir\xff", b"dir\nline", b"D" * 255):
        os.mkdir(os.path.join(folder, name))
        write(os.path.join(folder, name, b"in\xfe"), name)


def make_contents(p, big_mib):
    write(p(b"empty"), b"")
    with open(p(b"zeros"), "wb") as file:
        file.truncate(3 * 1024 * 1024 + 5)
    with open(p(b"holes"), "wb") as file:
        file.write(b"start")
        file.seek(6 << 20)
        file.write(b"middle" * 20000)
        file.truncate(11 << 20)
    write(p(b"random"), random.Random(BIG_SEED).randbytes(big_mib << 20))
    write(p(b"text"), b"all work and no play makes jack a dull boy\n" * 50000)
    words = random.Random(1).choices([b"%d-word" % i for i in range(3000)], k=120000)
    write(p(b"words"), b" ".join(words))
    write(p(b"one-byte"), b"1")
    # Just around the smallest and the largest chunk.
    for size in (512 * 1024 - 1, 512 * 1024, 512 * 1024 + 1, (8 << 20) + 1):
        write(p(b"zeros-%d" % size), bytes(size))


def make_modes(p):
    for mode in (0o000, 0o400, 0o644, 0o755, 0o4755, 0o2755, 0o1644, 0o7777, 0o222):
        write(p(b"mode-%o" % mode), b"m")
        os.chmod(p(b"mode-%o" % mode), mode)
    for name, mode in ((b"sticky", 0o1777), (b"setgid", 0o2755), (b"locked-dir", 0o700 if os.geteuid() else 0o000)):
        os.mkdir(p(name))
        write(p(name, b"inside"), name)
        os.chmod(p(name), mode)


def make_links(p):
    os.link(p(b"text"), p(b"text-again"))
    os.mkdir(p(b"links"))
    os.link(p(b"text"), p(b"links", b"third"))
    os.link(p(b"empty"), p(b"links", b"empty-again"))
    os.symlink(b"../text", p(b"links", b"relative"))
    os.symlink(b"/does/not/exist", p(b"links", b"dangling"))
    os.symlink(b"bad\xfftarget", p(b"links", b"not-utf8"))
    os.symlink(b"names", p(b"links", b"to-dir"))
    os.symlink(b"quote\"<&>\n\x01", p(b"links", b"odd-target"))
    os.symlink(b"t" * 4000, p(b"links", b"long-target"))
    os.symlink(b"loop", p(b"links", b"loop"))


def make_specials(p):
    os.mkfifo(p(b"fifo"), 0o640)
    attempt(os.mknod, p(b"null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    attempt(os.mknod, p(b"big-minor"), 0o600 | stat.S_IFCHR, os.makedev(4000, 1048575))
    attempt(os.mknod, p(b"loop"), 0o640 | stat.S_IFBLK, os.makedev(7, 300))
    attempt(os.chown, p(b"mode-644"), 1234, 4321)
    attempt(os.chown, p(b"sticky"), 65534, 4294967293)
    attempt(os.lchown, p(b"links", b"dangling"), 77, 88)
    if os.geteuid() == 0:
        os.chown(p(b"mode-4755"), 1000, 1000)
        os.chmod(p(b"mode-4755"), 0o4755)  # giving a file away takes its set-user-ID bit


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def make_attributes(p):
    nobody = 0xFFFFFFFF
    user_acl = acl((1, 6, nobody), (2, 7, 1234), (4, 4, nobody), (16, 7, nobody), (32, 4, nobody))
    attempt(os.setxattr, p(b"text"), b"user.test", b"value\x00\xff")
    attempt(os.setxattr, p(b"text"), b"user.empty", b"")
    attempt(os.setxattr, p(b"text"), b"user.\xc3\xbcber", b"1")
    attempt(os.setxattr, p(b"empty-dir"), b"user.dir", b"d")
    attempt(os.setxattr, p(b"empty"), b"user.long", bytes(range(256)) * 8)
    attempt(os.setxattr, p(b"words"), b"system.posix_acl_access", user_acl)
    attempt(os.setxattr, p(b"setgid"), b"system.posix_acl_default", user_acl)
    if os.geteuid() == 0:
        capability = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
        attempt(os.setxattr, p(b"one-byte"), b"security.capability", capability)
        attempt(os.setxattr, p(b"fifo"), b"trusted.fifo", b"f")
        attempt(os.setxattr, p(b"links", b"dangling"), b"trusted.link", b"l", follow_symlinks=False)


def make_times(p):
    os.utime(p(b"empty"), ns=(1_000_000_001, 987_654_321))
    os.utime(p(b"names", b"plain"), ns=(-5_000_000_001, -1_234_567_891))
    os.utime(p(b"names", b"a"), ns=(7_000_000_000_123_456_789, 7_000_000_000_123_456_789))
    os.utime(p(b"names", b"A"), ns=(0, 0))
    os.utime(p(b"fifo"), ns=(1, 1_400_000_000_999_999_999))
    os.utime(p(b"links", b"relative"), ns=(5, 1_500_000_000_111_222_333), follow_symlinks=False)
    os.utime(p(b"links"), ns=(6, 1_500_000_000_000_000_001))
    os.utime(p(b"empty-dir"), ns=(1_600_000_000_000_000_007, 1_600_000_000_000_000_007))


def make(root, big_mib):
    root = os.fsencode(root)
    os.makedirs(root)
    p = lambda *parts: os.path.join(root, *parts)
    make_names(p(b"names"))
    os.mkdir(p(b"empty-dir"))
    make_contents(p, big_mib)
    make_modes(p)
    make_links(p)
    make_specials(p)
    make_attributes(p)
    deep = os.path.join(p(b"deep"), *[b"level%d" % i for i in range(40)])
    os.makedirs(deep)
    write(os.path.join(deep, b"bottom"), b"deep\n")
    make_times(p)


def make_socket(path):
    """Backups leave sockets out, so one is made only where a test asks for it."""
    holder = socket.socket(socket.AF_UNIX)
    holder.bind(path)
    holder.close()


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def details(path, info):
    if stat.S_ISLNK(info.st_mode):
        return repr(os.readlink(path))
    if stat.S_ISREG(info.st_mode):
        return f"{info.st_size} {sha256_of(path)}"
    if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        return f"rdev {info.st_rdev}"
    return ""


def listing(root):
    root = os.fsencode(root)
    groups = {}
    lines = []

    def add(path):
        info = os.lstat(path)
        name = os.path.relpath(path, root)
        if stat.S_ISREG(info.st_mode) and info.st_nlink > 1:
            groups.setdefault((info.st_dev, info.st_ino), []).append(name)
        names = sorted(os.listxattr(path, follow_symlinks=False))
        xattrs = [(n, os.getxattr(path, n, follow_symlinks=False)) for n in names]
        owner = f"{info.st_uid}:{info.st_gid}"
        lines.append(f"{name!r} {info.st_mode:o} {owner} {info.st_mtime_ns} {details(path, info)} {xattrs!r}")

    add(root)
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            add(os.path.join(folder, name))
    lines += ["hardlinks " + repr(sorted(members)) for members in groups.values()]
    return sorted(lines)


if __name__ == "__main__":
    command, directory, *rest = sys.argv[1:]
    if command == "make":
        make(directory, int(rest[0]) if rest else 5)
    elif command == "socket":
        make_socket(directory)
    elif command == "list":
        print("\n".join(listing(directory)))
    else:
        sys.exit(f"unknown command {command}")
