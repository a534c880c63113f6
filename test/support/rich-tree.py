"""A folder with every node type and odd names, and a listing of a folder with all its metadata, one entry a line.

usage: rich-tree.py make DIR | rich-tree.py list DIR
"""
import hashlib, os, stat, struct, subprocess, sys

ODD_NAMES = [
    b"plain", b"with space", b"quote\"back\\slash", b"amp<&>", b"tab\there", b"new\nline", b"bell\x07", b"del\x7f",
    b"bad\xff\xfeutf8", b"\xed\xa0\x80lone", "ünïcode".encode(), "emoji\U0001f600".encode(), "nbsp\u00a0".encode(),
    "zero\u200bwidth".encode(), "repl\ufffd".encode(), "line\u2028sep".encode(), b"-dash", b"'single'", b"a.b", b"a-b",
    b"a", b"A", b"\x01ctl", b"n" * 255, "priv\ue000".encode(), b"trailing ", b"$VAR",
]


def make(root):
    root = os.fsencode(root)
    os.makedirs(root)
    p = lambda *parts: os.path.join(root, *parts)
    os.mkdir(p(b"names"))
    for i, name in enumerate(ODD_NAMES):
        with open(p(b"names", name), "wb") as f:
            f.write(b"content %d\n" % i)
    os.mkdir(p(b"empty-dir"))
    open(p(b"empty"), "wb").close()
    with open(p(b"zeros"), "wb") as f:
        f.truncate(3 * 1024 * 1024 + 5)
    with open(p(b"random"), "wb") as f:
        for i in range(5 * 32768):
            f.write(hashlib.sha256(struct.pack("<Q", i)).digest())
    with open(p(b"text"), "wb") as f:
        f.write(b"all work and no play makes jack a dull boy\n" * 50000)
    for mode in (0o000, 0o400, 0o644, 0o755, 0o4755, 0o2755, 0o1644):
        with open(p(b"mode-%o" % mode), "wb") as f:
            f.write(b"m")
        os.chmod(p(b"mode-%o" % mode), mode)
    os.mkdir(p(b"sticky")); os.chmod(p(b"sticky"), 0o1777)
    os.mkdir(p(b"setgid")); os.chmod(p(b"setgid"), 0o2755)
    os.link(p(b"text"), p(b"text-again"))
    os.mkdir(p(b"links"))
    os.link(p(b"text"), p(b"links", b"third"))
    os.symlink(b"../text", p(b"links", b"relative"))
    os.symlink(b"/does/not/exist", p(b"links", b"dangling"))
    os.symlink(b"bad\xfftarget", p(b"links", b"not-utf8"))
    os.symlink(b"names", p(b"links", b"to-dir"))
    os.mkfifo(p(b"fifo"), 0o640)
    if os.geteuid() == 0:
        os.mknod(p(b"null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(p(b"loop"), 0o640 | stat.S_IFBLK, os.makedev(7, 300))
        os.chown(p(b"mode-644"), 1234, 4321)
        os.lchown(p(b"links", b"dangling"), 77, 88)
    try:
        os.setxattr(p(b"text"), b"user.test", b"value\x00\xff")
        os.setxattr(p(b"text"), b"user.empty", b"")
        os.setxattr(p(b"empty-dir"), b"user.dir", b"d")
    except OSError:
        pass
    deep = p(b"deep")
    for i in range(40):
        deep = os.path.join(deep, b"level%d" % i)
    os.makedirs(deep)
    with open(os.path.join(deep, b"bottom"), "wb") as f:
        f.write(b"deep\n")
    os.utime(p(b"empty"), ns=(1_000_000_001, 987_654_321))
    os.utime(p(b"names", b"plain"), ns=(-5_000_000_001, -1_234_567_891))
    os.utime(p(b"names", b"a"), ns=(7_000_000_000_123_456_789, 7_000_000_000_123_456_789))
    os.utime(p(b"links", b"relative"), ns=(5, 1_500_000_000_111_222_333), follow_symlinks=False)
    os.utime(p(b"empty-dir"), ns=(1_600_000_000_000_000_007, 1_600_000_000_000_000_007))


def listing(root):
    root = os.fsencode(root)
    groups = {}
    lines = []
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            rel = os.path.relpath(path, root)
            extra = ""
            if stat.S_ISLNK(st.st_mode):
                extra = repr(os.readlink(path))
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    extra = f"{st.st_size} {hashlib.sha256(f.read()).hexdigest()}"
                if st.st_nlink > 1:
                    groups.setdefault((st.st_dev, st.st_ino), []).append(rel)
            elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
                extra = f"rdev {st.st_rdev}"
            xattrs = sorted((n, os.getxattr(path, n, follow_symlinks=False)) for n in os.listxattr(path, follow_symlinks=False))
            lines.append(f"{rel!r} {st.st_mode:o} {st.st_uid}:{st.st_gid} {st.st_mtime_ns} {extra} {xattrs!r}")
    for members in groups.values():
        lines.append("hardlinks " + repr(sorted(members)))
    return sorted(lines)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        print("\n".join(listing(sys.argv[2])))
