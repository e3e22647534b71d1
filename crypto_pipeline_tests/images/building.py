"""Carry out the steps of the Dockerfile without an engine: a stage is a stack of folders.

Each step runs in mount namespaces of its own, in a chroot of an overlay of the stage's folders
over a Debian that debootstrap made. That Debian stands in for the base image: it has the same
release and the same minor Python, in another place.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.images.dockerfile import Config, Stage, Step, apply, config, stages

SUITE = "bookworm"
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
# As an engine's build would be given them on a machine whose network has a proxy of its own.
PASSED_ON = ("SSL_CERT_FILE", "PIP_CERT", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
HOST_FILES = ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
NEEDED = ("debootstrap", "unshare", "nsenter", "mount", "chroot")


def why_not() -> str | None:
    """Why this machine cannot; None when it can."""
    lacks = [tool for tool in NEEDED if shutil.which(tool) is None]
    if lacks:
        return f"{', '.join(lacks)} not found: apt-get install debootstrap util-linux"
    return "images are made as root only" if os.geteuid() != 0 else None


@dataclass(kw_only=True)
class Builder:
    """Makes stages once each, below `folder`."""

    folder: Path
    stages: dict[str, Stage] = field(default_factory=stages)
    made: dict[str, list[Path]] = field(default_factory=dict)
    runs: int = 0

    def build(self, name: str) -> list[Path]:
        """The folders of a stage, lowest first."""
        if name not in self.stages:
            return self._base()
        if name not in self.made:
            stage = self.stages[name]
            below = self.build(stage.base)
            upper = self.folder / name
            upper.mkdir(parents=True)
            so_far = config(stage.base, self.stages)
            for step in stage.steps:
                self._carry_out(step, below, upper, so_far)
                apply(so_far, step)
            self.made[name] = [*below, upper]
        return self.made[name]

    def _base(self) -> list[Path]:
        base = self.folder / "base"
        if not base.exists():
            begun = self.folder / "base.begun"
            call(
                "debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", SUITE, str(begun)
            )
            (begun / "usr/local/bin/python").symlink_to("/usr/bin/python3")
            for file in filter(os.path.exists, HOST_FILES):
                shutil.copyfile(file, begun / file[1:])
            # As an engine writes it; a container of ours is called pod.
            (begun / "etc/hosts").write_text("127.0.0.1 localhost pod\n")
            begun.rename(base)
        return [base]

    def _carry_out(self, step: Step, below: list[Path], upper: Path, settings: Config) -> None:
        if step.word == "RUN":
            self.runs += 1
            env = {**settings.env, "HOME": "/root", "LC_ALL": "C.UTF-8"}
            env |= {key: os.environ[key] for key in PASSED_ON if key in os.environ}
            pairs = [f"{key}={value}" for key, value in env.items()]
            run = ("chroot", "$root", "env", "-i", "-C", settings.workdir, *pairs, "sh", "-c")
            self._within([*below], upper, PSEUDO + _quoted(*run, step.text))
        elif step.word == "COPY":
            self._copy(step, below, upper)
        elif step.word == "WORKDIR":
            self._within(below, upper, f'mkdir -p "$root{step.text}"')

    def _copy(self, step: Step, below: list[Path], upper: Path) -> None:
        stage, sources, target = step.copied()
        lines = f"mkdir -p {_place(target, sources)}\n"
        if stage is None:
            origin = str(ROOT)
            found = [str(Path(path).relative_to(ROOT)) for s in sources for path in ROOT.glob(s)]
            assert len(found) == len(sources), f"COPY {step.text}: a source is missing"
        else:
            origin, found = "$from", [source[1:] for source in sources]
            lines = f"from=$(mktemp -d)\n{_mount(self.build(stage), '$from')}{lines}"
        for source in found:
            into = f"{_place(target, sources)}/"
            tail = "/." if stage is not None or (ROOT / source).is_dir() else ""
            lines += f'cp -dR --preserve=mode,links "{origin}/{source}{tail}" "{into}"\n'
        if stage is None:
            lines += f"find {_place(target, sources)} -name __pycache__ -prune -exec rm -r {{}} +\n"
        self._within(below, upper, lines)

    def _within(self, below: list[Path], upper: Path, script: str) -> None:
        work = upper.with_name(f"{upper.name}.work")
        work.mkdir(exist_ok=True)
        mounted = _mount(below, "$root", upper=upper, work=work)
        call("unshare", "--mount", "sh", "-euc", f"umask 022\nroot=$(mktemp -d)\n{mounted}{script}")


PSEUDO = """\
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
for each in null zero random urandom; do
    touch "$root/dev/$each"
    mount --bind "/dev/$each" "$root/dev/$each"
done
ln -s /proc/self/fd "$root/dev/fd"
"""


def _mount(
    folders: list[Path], at: str, *, upper: Path | None = None, work: Path | None = None
) -> str:
    lower = ":".join(str(folder) for folder in reversed(folders))
    over = "" if upper is None else f",upperdir={upper},workdir={work}"
    return f'mount -t overlay overlay -o "lowerdir={lower}{over}" "{at}"\n'


def mount_read_only(folders: list[Path], at: str) -> str:
    """Shell that shows an image's folders at `at`; without an upper one nothing can be written."""
    return _mount(folders, at)


def _place(target: str, sources: list[str]) -> str:
    return f'"$root{target.rstrip("/")}"'


def _quoted(*words: str) -> str:
    """Shell words; `$root` stays a variable."""
    return " ".join(
        "'" + word.replace("'", "'\\''") + "'" if word != "$root" else '"$root"' for word in words
    )


def call(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, f"{argv[-1][-800:]}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
