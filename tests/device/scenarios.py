"""What a device does when it is updated, and when that goes wrong. Each test is one device, start after start."""

from machine import Device
from systems import script

# What a service does at each start, and what the tests look at.
LOOK = "health; tell_status"
APPLY = "tell upmass apply update.upm; tell_status; upmass reboot"
# Why a release failed that could not say so itself.
MUTE = "it did not start, or was reset before it could say so"


class Made:
    """Releases, updates and disks that the tests share."""

    def __init__(self, workshop, wanted):
        self.workshop = workshop
        workshop.keys()
        cloud = workshop.kernel("linux-image-cloud-amd64")
        rescue = workshop.tree("rescue", "rescue", cloud)
        old = workshop.tree("old", "release old", cloud)
        trees = {"old": old}
        for name in ("new", "panics"):
            trees[name] = workshop.like(old, name, f"release {name}")
        script(trees["panics"] / "sbin/init", "/bin/mount -t proc proc /proc; echo c > /proc/sysrq-trigger")
        for name, tree in trees.items():
            workshop.release(name, tree, rescue)
        self.updates = {name: workshop.update("old", name) for name in trees if name != "old"}
        self.image = workshop.image("old")

    def device(self, name):
        device = Device(self.workshop.directory / "devices" / name, self.image)
        device.made = self
        return device


def arm(device, name, before=LOOK):
    """Applies an update in the old release, and restarts to try it. `before` comes first."""
    update = device.directory / "update.upm"
    update.write_bytes(device.made.updates[name].read_bytes())
    console = device.start(f"{before}; {APPLY}", update)
    return console.runs("old", phase="armed", attempt="armed")


def keep(device):
    """A good release is applied, tried, checked and confirmed; then back by hand, each with its own /etc."""
    arm(device, "new").says("release old runs")
    console = device.start(f"{LOOK}; echo changed > /etc/mark; tell upmass rollback")
    console.says("release new runs", "the thing works", "upmass health: status 0", "upmass rollback: status 0")
    console.runs("new", phase="settled", attempt=None)
    console = device.start(f"[ -e /etc/mark ] && say marked; {LOOK}")
    console.runs("old", phase="settled", etc=[]).says_not("guest: marked")


def fall_back(device):
    """Releases that are no good: each is left by itself, and status says why."""
    arm(device, "panics")
    device.start("").says("Kernel panic", "sysrq triggered crash").says_not("release")
    device.start(LOOK).runs("old", phase="settled", attempt="failed", reason=MUTE)


ALL = {"keep": keep, "fall-back": fall_back}
