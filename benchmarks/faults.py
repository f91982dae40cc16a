"""Does the store hold every event once, whatever dies? A nightly run is broken off at any point, then run again.

    --kills   SIGKILL at points of a run chosen by chance: in time, and before each call that touches a file
    --full    the disk is full at points chosen by chance: a limit to the size of files, and (as root) a small tmpfs
    --power   every moment of one commit: what was not forced to the disk is lost (needs strace)
    --crowd   scans, readers and compactions of one store at once, for so many seconds

After each, a normal run; then the store must equal that of an undisturbed run, row for row. Linux.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from histories import Logs

from logscan.ingest import ingest
from logscan.plan import Options
from logscan.store import Store, StoreError

NIGHTS = 4
OPTIONS = Options(workers=1, tz="UTC", block_size=8192)


def prepared(root: Path, seed: int) -> list[Path]:
    """The folder of logs as it stands in each of some nights, under `root`: it grows, is rotated and compressed."""
    choose = random.Random(seed)
    nights: list[Path] = []

    def keep(_: list[str]) -> None:
        nights.append(root / f"night{len(nights)}")
        shutil.copytree(logs.folder, nights[-1])

    logs = Logs(root / "logs", keep)
    for night in range(NIGHTS):
        logs.write(choose.randrange(60, 200))
        if night:
            logs.rotate()
            logs.pack(1, choose.choice([".gz", ".xz", ".bz2", ".zst"]), 1, "")
            logs.write(choose.randrange(1, 80))
        logs.scan()
    return nights


def run(night: Path, store: Path, options: Options = OPTIONS) -> None:
    """A night's run. Its logs always lie in the same folder, as on a server."""
    live = night.parent / "live"
    shutil.rmtree(live, ignore_errors=True)
    shutil.copytree(night, live)
    ingest([str(live)], Store.open(store), options)


def content(store: Path) -> list[tuple[Any, ...]]:
    """All rows of the store, in order; and what it says that it has read."""
    opened = Store.open(store)
    rows = opened.dataset().to_table().to_pylist()
    return [*sorted(tuple(map(str, row.values())) for row in rows), opened.run().tally.lines]  # type: ignore[list-item]


def broken_off(act: Callable[[], None], fault: Callable[[], None]) -> int:
    """Acts in a process of its own, which first arms its fault; gives its status, as os.waitpid does."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            fault()
            act()
            code = 0
        except (OSError, StoreError):
            code = 3
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def kill_at_call(number: int) -> Callable[[], None]:
    """Dies before its so-manyth call that opens, moves or removes a file."""

    def arm() -> None:
        left = number

        def hook(event: str, _: object) -> None:
            nonlocal left
            if event in ("open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect"):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return arm


def kill_after(seconds: float) -> Callable[[], None]:
    """Dies after a time."""

    def arm() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        if not os.fork():
            parent = os.getppid()
            time.sleep(seconds)
            if os.getppid() == parent:
                os.kill(parent, signal.SIGKILL)
            os._exit(0)

    return arm


def full_at(size: int) -> Callable[[], None]:
    """No file may grow beyond so many bytes."""

    def arm() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return arm


def kills(count: int, folder: Path, seed: int = 1) -> tuple[int, int]:
    """SIGKILL at so many points; gives how often a run died of it, and how many stores were not as undisturbed."""
    choose = random.Random(seed)
    nights = prepared(folder / "kills", seed)
    stores = [folder / "kills" / f"store{night}" for night in range(NIGHTS)]
    for number, store in enumerate(stores):
        if number:
            shutil.copytree(stores[number - 1], store)
        began = time.perf_counter()
        run(nights[number], store)
        took = time.perf_counter() - began
    want = [content(store) for store in stores]
    died = wrong = 0
    for _ in range(count):
        night, store = choose.randrange(NIGHTS), folder / "kills" / "store"
        shutil.rmtree(store, ignore_errors=True)
        if night:
            shutil.copytree(stores[night - 1], store)
        for _ in range(choose.choice([1, 1, 2])):
            fault = (
                kill_at_call(choose.randrange(1, 140)) if choose.random() < 0.6 else kill_after(choose.uniform(0, took))
            )
            died += os.WIFSIGNALED(broken_off(partial(run, nights[night], store), fault))
        run(nights[night], store)
        if content(store) != want[night] or Store.open(store).check():
            wrong += 1
    return died, wrong


@contextmanager
def tmpfs(folder: Path, kilobytes: int) -> Iterator[bool]:
    """A file system of so many kilobytes at `folder`; false where we may not."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], stderr=subprocess.DEVNULL, check=False
    ).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)


def full(count: int, folder: Path, seed: int = 1, *, small: bool = True) -> tuple[int, int]:
    """A full disk at so many points; gives how often a run was refused, and how many stores were wrong after it."""
    choose = random.Random(seed)
    nights = prepared(folder / "full", seed)
    refused = wrong = 0
    want = []
    for night in nights[:2]:
        run(night, folder / "full" / "undisturbed")
        want.append(content(folder / "full" / "undisturbed"))
    for _ in range(count):
        disk = folder / "full" / "disk"
        with tmpfs(disk, 2048) as mounted:
            shutil.rmtree(disk / "store", ignore_errors=True)
            run(nights[0], disk / "store")
            filler = disk / "filler"
            fault: Callable[[], None] = full_at(choose.randrange(0, 60_000))
            if mounted and small and choose.random() < 0.5:
                left = choose.randrange(0, 500_000)
                about = os.statvfs(disk)
                filler.write_bytes(b"x" * max(0, about.f_bavail * about.f_frsize - left))
                fault = int
            status = broken_off(partial(run, nights[1], disk / "store"), fault)
            refused += status != 0
            filler.unlink(missing_ok=True)
            if status and content(disk / "store") not in want:
                wrong += 1
            run(nights[1], disk / "store")
            wrong += content(disk / "store") != want[1] or bool(Store.open(disk / "store").check())
    return refused, wrong


TRACED = (
    "openat,creat,write,pwrite64,ftruncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "fsync,fdatasync,close,dup,dup2,fcntl"
)
CALL = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)\)\s+= (-?\d+)")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Disk:
    """A folder as a disk has it: what was written, and what of that was forced to it."""

    def __init__(self, root: Path):
        self.root = str(root)
        self.names: dict[str, int | None] = {}
        """Of each path the file (None: a folder), as the system shows it; and as it is after the power is gone."""
        self.safe_names: dict[str, int | None] = {}
        self.data: dict[int, bytearray] = {}
        self.safe_data: dict[int, bytes] = {}
        self.open: dict[int, tuple[str, int | None, int]] = {}
        self.news = 0
        for path in sorted(root.rglob("*")):
            key = None if path.is_dir() else path.stat().st_ino
            self.names[str(path)] = key
            if key is not None:
                self.data[key] = bytearray(path.read_bytes())
                self.safe_data[key] = bytes(self.data[key])
                self.news = max(self.news, key)
        self.names[self.root] = None
        self.safe_names = dict(self.names)

    def inside(self, path: str) -> bool:
        """Whether a path lies in the folder."""
        return path == self.root or path.startswith(self.root + "/")

    def apply(self, call: str, text: str, result: int) -> bool:
        """A system call; gives whether it changed anything here."""
        words = [bytes(w, "latin-1").decode("unicode_escape").encode("latin-1") for w in TEXT.findall(text)]
        names = [w.decode(errors="replace") for w in words[:2]]
        if result < 0:
            return False
        if call in ("openat", "creat"):
            return self._open(names[0], text, result)
        number = int(m[0]) if (m := re.match(r"\d+", text)) else -1
        if call == "close":
            self.open.pop(number, None)
            return False
        if call in ("dup", "fcntl") and ("F_DUPFD" in text or call == "dup") and number in self.open:
            self.open[result] = self.open[number]
            return False
        if call in ("write", "pwrite64", "ftruncate") and number in self.open:
            return self._write(call, number, text, words, result)
        if call in ("fsync", "fdatasync") and number in self.open:
            return self._sync(number)
        if call.startswith("rename") and self.inside(names[0]):
            return self._rename(*names)
        if call.startswith("link") and self.inside(names[0]):
            self.names[names[1]] = self.names[names[0]]
            return True
        if call.startswith(("unlink", "rmdir")) and self.inside(names[0]):
            self.names.pop(names[0], None)
            return True
        if call.startswith("mkdir") and self.inside(names[0]):
            self.names[names[0]] = None
            return True
        return False

    def _open(self, name: str, text: str, result: int) -> bool:
        if not self.inside(name):
            self.open.pop(result, None)
            return False
        changed = False
        if "O_CREAT" in text and name not in self.names:
            self.news += 1
            self.names[name], self.data[self.news], self.safe_data[self.news] = self.news, bytearray(), b""
            changed = True
        key = self.names.get(name)
        if "O_TRUNC" in text and key is not None:
            self.data[key] = bytearray()
            changed = True
        self.open[result] = (name, key, len(self.data[key]) if key is not None and "O_APPEND" in text else 0)
        return changed

    def _write(self, call: str, number: int, text: str, words: list[bytes], result: int) -> bool:
        name, key, at = self.open[number]
        if key is None:
            return False
        data = self.data[key]
        if call == "ftruncate":
            size = int(text.split(",")[1])
            data[:] = data[:size].ljust(size, b"\0")
            return True
        if call == "pwrite64":
            at = int(text.rsplit(",", 1)[1])
        else:
            self.open[number] = (name, key, at + result)
        if len(data) < at:
            data.extend(bytes(at - len(data)))
        data[at : at + result] = words[0][:result]
        return True

    def _sync(self, number: int) -> bool:
        name, key, _ = self.open[number]
        if key is not None:
            self.safe_data[key] = bytes(self.data[key])
            return True
        inside = [p for p in {*self.names, *self.safe_names} if os.path.dirname(p) == name]  # noqa: PTH120
        for path in inside:
            if path in self.names:
                self.safe_names[path] = self.names[path]
            else:
                self.safe_names.pop(path, None)
        return True

    def _rename(self, old: str, new: str) -> bool:
        if self.names.get(old) == self.names.get(new) and self.names.get(old) is not None:
            return False
        for path in [p for p in self.names if p == old or p.startswith(old + "/")]:
            self.names[new + path[len(old) :]] = self.names.pop(path)
        return True

    def after_power_cut(self, place: Path, *, names: bool, data: bool) -> None:
        """Writes down what is left: of names and of data, all that was done, or only what was forced to the disk."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        shown, bytes_of = (self.names if names else self.safe_names), (self.data if data else self.safe_data)
        for path, key in sorted(shown.items()):
            target = place / path[len(self.root) :].lstrip("/")
            if not target.parent.is_dir():
                continue
            if key is None:
                target.mkdir(exist_ok=True)
            else:
                target.write_bytes(bytes_of[key])


def power(folder: Path, seed: int = 1, every: int = 1) -> tuple[int, int]:
    """Power cuts at each step of one commit; gives how many states were tried, and how many came out wrong."""
    nights = prepared(folder / "power", seed)
    store, want = folder / "power" / "store", []
    run(nights[0], store)
    shutil.copytree(store, folder / "power" / "first")
    want.append(content(store))
    disk = Disk(store)
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}; import faults, pathlib; faults.run(*map(pathlib.Path, sys.argv[1:]))"
    )
    trace = folder / "power" / "trace"
    command = ["strace", "-f", "-q", "-xx", "-s", "100000000", "-e", f"trace={TRACED}", "-o", trace]
    subprocess.run([*command, sys.executable, "-c", script, nights[1], store], check=True)
    want.append(content(store))
    tried = wrong = steps = 0
    for line in joined(trace.read_text(encoding="latin-1").splitlines()):
        found = CALL.match(line)
        if not found or not disk.apply(found[1], found[2], int(found[3])):
            continue
        steps += 1
        if steps % every:
            continue
        for names, data in ((False, False), (True, False), (False, True)):
            place = folder / "power" / "after"
            disk.after_power_cut(place, names=names, data=data)
            tried += 1
            try:
                good = content(place) in want
                run(nights[1], place)
                good &= content(place) == want[1] and not Store.open(place).check()
            except Exception as error:  # noqa: BLE001 - any failure counts
                good = False
                print(f"step {steps} ({line[:120]}): {error!r}")
            wrong += not good
    disk.after_power_cut(folder / "power" / "after", names=True, data=True)
    if content(folder / "power" / "after") != want[1]:
        raise AssertionError("the replay does not give what the run gave")
    return tried, wrong


def joined(lines: list[str]) -> Iterator[str]:
    """Calls of several threads that strace cut in two, as one."""
    begun: dict[str, str] = {}
    for line in lines:
        pid = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[pid] = line.removesuffix("<unfinished ...>").rstrip()
        elif found := re.search(r"<\.\.\. \w+ resumed>(.*)", line):
            yield begun.pop(pid, "") + found[1]
        else:
            yield line


def crowd(seconds: float, folder: Path, scans: int = 4, readers: int = 4) -> tuple[int, int, list[str]]:
    """Scans, readers and compactions at once; gives commits, reads, and what went wrong."""
    root = folder / "crowd"
    root.mkdir()
    store, until = root / "store", seconds
    Store.open(store)
    script = f"import sys; sys.path[:0] = {sys.path!r}; import faults; faults.CROWD[sys.argv[1]](*sys.argv[2:])"
    jobs = [*(["scan", str(n)] for n in range(scans)), *(["read", str(n)] for n in range(readers)), ["compact", "0"]]
    going = [
        subprocess.Popen(
            [sys.executable, "-c", script, *job, root, str(until)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for job in jobs
    ]
    said = [process.communicate()[0].strip() for process in going]
    wrong = [text for process, text in zip(going, said, strict=True) if process.returncode]
    commits = sum(int(text) for text in said[:scans] if text.isdigit())
    reads = sum(int(text) for text in said[scans : scans + readers] if text.isdigit())
    if Store.open(store).dataset().count_rows() != commits * 7 or Store.open(store).check():
        wrong.append("the store is not what the scans gave")
    return commits, reads, wrong


def crowd_scan(name: str, root: str, seconds: str) -> None:
    """Each commit adds seven events, over two days."""
    logs = Logs(Path(root) / f"logs{name}", lambda _: None)
    logs.number = int(name) * 172_800 + 86_300
    done, until = 0, time.monotonic() + float(seconds)
    while time.monotonic() < until:
        logs.write(7)
        ingest([str(logs.live)], Store.open(Path(root) / "store"), OPTIONS, wait=60)
        done += 1
    print(done)


def crowd_read(name: str, root: str, seconds: str) -> None:
    """Each read sees whole commits: a multiple of seven events, and never less than before."""
    done = last = 0
    until = time.monotonic() + float(seconds)
    while time.monotonic() < until:
        table = Store.open(Path(root) / "store", create=False).dataset().to_table(columns=["offset", "reply"])
        if len(table) % 7 or len(table) < last:
            sys.exit(f"read {len(table)} events after {last}")
        last, done = len(table), done + 1
    print(done)


def crowd_compact(name: str, root: str, seconds: str) -> None:
    """Compacts whenever nobody writes."""
    done, until = 0, time.monotonic() + float(seconds)
    while time.monotonic() < until:
        try:
            Store.open(Path(root) / "store").compact()
            done += 1
        except StoreError as error:
            if "is being written" not in str(error):
                raise
        time.sleep(0.02)
    print(done)


CROWD = {"scan": crowd_scan, "read": crowd_read, "compact": crowd_compact}


def main() -> int:
    """Break, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="points of SIGKILL (default: %(default)s)")
    parser.add_argument("--full", type=int, default=50, help="points of a full disk (default: %(default)s)")
    parser.add_argument("--power", type=int, default=1, help="a power cut at every Nth step; 0: none (default: 1)")
    parser.add_argument("--crowd", type=float, default=60, help="seconds of a crowd (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's temporary folder)")
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        folder = Path(root)
        if options.kills:
            died, wrong = kills(options.kills, folder)
            bad += wrong
            print(f"{options.kills:,} runs to be killed, {died:,} died: {wrong} stores wrong", flush=True)
        if options.full:
            refused, wrong = full(options.full, folder)
            bad += wrong
            print(f"{options.full} full disks, {refused} runs refused: {wrong} stores wrong", flush=True)
        if options.power and shutil.which("strace"):
            tried, wrong = power(folder, every=options.power)
            bad += wrong
            print(f"{tried:,} states after a power cut: {wrong} stores wrong", flush=True)
        if options.crowd:
            commits, reads, met = crowd(options.crowd, folder)
            bad += len(met)
            print(f"{commits:,} commits and {reads:,} reads at once: {met or 'no error'}", flush=True)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
