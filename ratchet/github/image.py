"""The image of a Bento on GHCR, GitHub's container registry: python3 -m ratchet.github.image

The image's tag is the version of the Bento, a digest of its content. If an image with this tag
exists, nothing is built. The newest image also gets the tag `prod`, and the tag `staging` if the
Bento contains a staging version.
"""

import json
import os
import subprocess
from pathlib import Path

from ratchet.github.client import append_summary


def main() -> None:
    bento, versions = os.environ["BENTO"], os.environ["VERSIONS"]
    name = f"ghcr.io/{os.environ['GITHUB_REPOSITORY']}".lower()  # GHCR accepts no capitals
    image = f"{name}:{bento.split(':')[1]}"
    if not exists(image):
        build(image, Path(os.environ["ARCHIVE"]), os.environ["DOCKERFILE"])
        run("docker", "push", image)
    # `versions` is "v3" or, if there is a staging version, "v3-v4".
    moving = [f"{name}:prod"] + ([f"{name}:staging"] if "-" in versions else [])
    run("docker", "buildx", "imagetools", "create", *[f"--tag={one}" for one in moving], image)
    inspect = ("docker", "buildx", "imagetools", "inspect", "--format={{json .Manifest}}", image)
    digest = json.loads(run(*inspect))["digest"]
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as outputs:
        outputs.write(f"name={name}\ndigest={digest}\n")
    tags = "\n\n".join(f"`{one}`" for one in (image, *moving))
    append_summary(f"The image of {versions}:\n\n{tags}\n\n`{digest}`")


def build(image: str, archive: Path, dockerfile: str) -> None:
    """Build the image from the archive of the Bento, which contains the Dockerfile."""
    command = ["docker", "build", f"--file={dockerfile}", f"--tag={image}", "-"]
    print(*command, "<", archive, flush=True)
    with archive.open("rb") as context:
        subprocess.run(command, check=True, stdin=context)


def exists(image: str) -> bool:
    command = ["docker", "manifest", "inspect", image]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def run(*command: str) -> str:
    print(*command, flush=True)
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main()
