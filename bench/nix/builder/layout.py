"""Where a file of a Debian package is in a store path, and which are left out.

Debian spreads a package over /usr; a store path has bin, lib, share and etc at its top. `merged` brings a path to
the one form in which all others here compare it, `in_store` gives its place in a store path.
"""
import posixpath
import re

# Documentation, translations, what maintains an installation, and what belongs to the running system.
DROPPED = re.compile(
    r"usr/share/(doc|man|info|locale|lintian|bug|doc-base|i18n|metainfo|gdb|apport|debconf|perl5|vim|zsh|fish|menu"
    r"|bash-completion|icons|pixmaps|applications|initramfs-tools)(/|$)"
    r"|usr/lib/(debug|locale)(/|$)|(var|run|home|boot|root|tmp|usr/local|usr/games)(/|$)"
    r"|etc/(init|init\.d|default|cron\.[a-z]+|logrotate\.d|network|apparmor\.d|ufw|apt)(/|$)")
TOP = re.compile(r"(bin|sbin|lib|lib64)(/|$)")
# Absolute paths in texts; what is in front of them must not make them part of another path or address.
MENTIONED = re.compile(rb"(?<![A-Za-z0-9_/.$}~-])/(?:usr/)?(?:bin|sbin|lib|lib64|libexec|share)/[A-Za-z0-9_./+@-]+")


def merged(path):
    """A path of a package with /bin, /sbin and /lib below usr, without the slash in front."""
    path = posixpath.normpath("/" + path.lstrip("/")).lstrip("/")
    return "usr/" + path if TOP.match(path) else path


def is_kept(path):
    """Whether a merged path goes into the store path."""
    return not DROPPED.match(path) and not re.fullmatch(r"usr/(bin|sbin|lib|lib64)|\.", path)


def in_store(path):
    """The place of a merged path in a store path."""
    path = path.removeprefix("usr/")
    for old, new in ("sbin", "bin"), ("lib64", "lib"), ("lib/x86_64-linux-gnu", "lib"):
        if path == old or path.startswith(old + "/"):
            path = new + path[len(old):]
    return path


def is_text(content):
    """Whether paths in this content may be replaced by longer ones."""
    return b"\0" not in content[:8192] and len(content) < 4 << 20


def mentioned(content):
    """The merged absolute paths in a text."""
    return {merged(path.decode().rstrip(".")) for path in MENTIONED.findall(content)}
