"""What a device does when it is updated, and when that goes wrong. Each test is one device, start after start."""

from machine import SECTOR, Cut, Device, Wrong
from systems import script

# What a service does at each start, and what the tests look at.
LOOK = "health; tell upmass status; tell_status"
APPLY = "tell_written; tell upmass apply update.upm; tell_written; tell_status; upmass reboot"
# Why a release failed that could not say so itself.
MUTE = "it did not start, or was reset before it could say so"


class Made:
    """Releases, updates and disks that the tests share; only for those that are `wanted`."""

    def __init__(self, workshop, wanted):
        self.workshop = workshop
        self.updates = {}
        self.images = {}
        workshop.keys()
        cloud = workshop.kernel("linux-image-cloud-amd64")
        # Another kernel, with modules for ext4 and watchdogs.
        full = workshop.kernel("linux-image-amd64")
        self.rescue = workshop.tree("rescue", "rescue", cloud)
        if set(wanted) - {"systemd"}:
            self.small(cloud, full)
        if "systemd" in wanted:
            self.debian(full)

    def small(self, cloud, full):
        old = self.workshop.tree("old", "release old", cloud)
        new, panics, sick = (self.workshop.like(old, name, f"release {name}") for name in ("new", "panics", "sick"))
        hangs = self.workshop.tree("hangs", "release hangs", full)
        script(panics / "sbin/init", "/bin/mount -t proc proc /proc; echo c > /proc/sysrq-trigger")
        script(hangs / "sbin/init", "echo $(cat /etc/version) runs > /dev/console; while :; do sleep 1000; done")
        script(sick / "etc/upmass/health.d/30-network", 'echo "there is no network"; exit 7')
        self.make("old", 20, old=old, new=new, panics=panics, sick=sick, hangs=hangs)

    def debian(self, full):
        old = self.workshop.debian("debian", "release debian", full)
        new, broken = (self.workshop.like(old, name, f"release {name}") for name in ("debian-new", "debian-broken"))
        unit = "[Service]\nType=oneshot\nExecStart=/bin/false\n"
        (broken / "usr/lib/systemd/system/broken.service").write_text(unit)
        (broken / "usr/lib/systemd/system/multi-user.target.wants/broken.service").symlink_to("../broken.service")
        self.make("debian", 120, **{"debian": old, "debian-new": new, "debian-broken": broken})

    def make(self, first, heartbeat, **trees):
        """Releases of these systems, updates from the first one, and a disk that boots it. A watchdog has `heartbeat` seconds."""
        for name, tree in trees.items():
            self.workshop.release(name, tree, self.rescue, f"i6300esb.heartbeat={heartbeat}")
            if name != first:
                self.updates[name] = self.workshop.update(first, name)
        self.images[first] = self.workshop.image(first)

    def device(self, name):
        return Prepared(self, name, "debian" if name == "systemd" else "old")


class Prepared(Device):
    """A device with a release, to which there are updates."""

    def __init__(self, made, name, release):
        super().__init__(made.workshop.directory / "devices" / name, made.images[release])
        self.updates, self.added = made.updates, made.workshop.added

    def update(self, name):
        file = self.directory / "update.upm"
        file.write_bytes(self.updates[name].read_bytes())
        return file


def arm(device, name, before=LOOK, system="main"):
    """Applies an update in the old release, and restarts to try it. `before` comes first."""
    console = device.start(f"{before}; {APPLY}", device.update(name))
    return console.runs("old", system, phase="armed", attempt="armed")


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

    arm(device, "sick").says(f"failed: {MUTE}")
    console = device.start("upmass health; sleep 2; say still here")
    console.says("release sick runs", "there is no network", "restarting into the old release").says_not("still here")

    arm(device, "hangs").says("failed: check 30-network failed: exit status: 7")
    # The init program of the RAM disk has started the watchdog. Nobody takes it over, and it ends the start.
    device.start("", arguments=["-device", "i6300esb"]).says("release hangs runs")

    device.start(LOOK).runs("old", phase="settled", attempt="failed", reason=MUTE)


def power_cuts(device):
    """The power fails while a release is applied, tried and confirmed: the old or the new one runs, and is whole."""
    update = device.update("new")
    look = f"{LOOK}; tell upmass check"
    whole = "upmass check: status 0"
    # First its systems are written, then its slot.
    for mib in (2, 10):
        cut = Cut("BdsDxe: starting", written=mib << 20)
        console = device.start(f"{look}; tell upmass apply update.upm; say all was written; sleep 1000", update, cut=cut)
        console.runs("old", phase="settled").says(whole).says_not("all was written")
    # When it is armed, the next start tries it, whatever the reason for that start.
    console = device.start(f"{look}; tell upmass apply update.upm; sleep 1000", update, cut=Cut("guest: upmass apply: status 0"))
    console.runs("old", phase="settled").says(whole)
    console = device.start("tell_status; say on trial; sleep 1000", cut=Cut("guest: on trial"))
    console.runs("new", phase="trial")
    console = device.start(f"{look}; {APPLY}", update)
    console.says(f"failed: {MUTE}", whole).runs("old", phase="armed")
    # Between the two sectors that confirm: the second partition table has changed, the first has not.
    second = device.disk.stat().st_size - SECTOR
    cut = Cut("guest: confirming", change=(second, SECTOR))
    device.start("tell_status; say confirming; upmass health; sleep 1000", cut=cut).runs("new", phase="trial")
    again = f"case $(cat /etc/version) in *new) {look};; *) {look}; {APPLY};; esac"
    console = device.start(again, update).says(whole)
    version = console.status()["release_version"]
    if version == "old":
        console = device.start(again, update).says(whole)
    console.runs("new", phase="settled", attempt=None)
    yield f"when the power failed between the two sectors that confirm, the {version} release ran"


def other_system(device):
    """Another system of the release, once and for good; nothing is written but what the loader is told."""
    # The restart comes when all was counted.
    choose = """
        echo '#!/bin/sh' > /run/nothing; chmod +x /run/nothing; mount --bind /run/nothing /sbin/reboot
        ls /sys/firmware/efi/efivars > /run/before; tell_written
        tell upmass reboot --into rescue
        tell_written; ls /sys/firmware/efi/efivars > /run/after
        diff /run/before /run/after | grep '^[+-][A-Za-z]' | sed 's/^/guest: variable /'
        umount /sbin/reboot; reboot -f
    """
    console = device.start(f"{LOOK}; {choose}").says("upmass reboot: status 0", "guest: variable +LoaderEntryOneShot")
    if console.text.count("guest: variable") != 1:
        raise Wrong(f"{console.path}: more than one variable has changed")
    before, after = console.numbers("written")
    if before != after:
        raise Wrong(f"{console.path}: {after - before} bytes were written")
    device.start(LOOK).runs("old", "rescue", phase="settled", next_system_once=None)
    device.start(f"{LOOK}; upmass reboot --into rescue --keep").runs("old", "main")
    # A later release that has a system of that name starts it too.
    arm(device, "new", system="rescue")
    device.start(LOOK).runs("new", "rescue", phase="settled")
    device.start(f"{LOOK}; upmass reboot --into main --keep").runs("new", "rescue")
    device.start(LOOK).runs("new", "main", preferred_system=None)


def damage(device):
    """What is damaged is noticed, and does not matter where there is another: tables, slots, objects."""
    device.write(SECTOR, bytes(SECTOR))
    arm(device, "new")
    slot, _ = device.partition("boot-2")
    device.write(slot, bytes(1 << 16))
    arm(device, "new").says(f"failed: {MUTE}")
    device.start(LOOK).runs("new", phase="settled")

    # Somewhere in the files of the slot that is not in use, and in a text that is in an object and nowhere else.
    slot, _ = device.partition("boot-1")
    device.write(slot + (10 << 20), b"damaged!" * 512)
    text, disk = b"What the scripts of the second disk use", device.disk.read_bytes()
    if disk.count(text) != 1:
        raise Wrong(f"{device.disk} has the text to damage {disk.count(text)} times")
    device.write(disk.index(text), b"WHAT")
    console = device.start(f"{LOOK}; tell upmass rollback; tell upmass check; tell_status").runs("new", phase="settled")
    console.says("is not whole", "upmass rollback: status 3", "upmass check: status 1")
    console.says(f"needed by release {console.status()['release'][:12]}, component main, /usr/lib/guest/functions")


def systemd(device):
    """Debian's systemd and the files for it: the service confirms a release, and leaves one of which a unit failed."""
    watched = {"arguments": ["-device", "i6300esb"], "memory": 384}
    look = """
        while systemctl --quiet is-active upmass-health; do sleep 0.5; done
        say "failed units: [$(systemctl --failed --plain --no-legend)]"
        tell systemctl status --no-pager upmass-health
        tell upmass status
        say "watchdog is $(cat /sys/class/watchdog/watchdog0/state)"
        tell_status"""
    apply = f"{look}; tell upmass apply update.upm; tell_status; upmass reboot; sleep 1000"
    console = device.start(apply, device.update("debian-broken"), **watched)
    console.says("failed units: []", "watchdog is active").runs("debian", phase="armed")
    device.start("sleep 1000", **watched).says("release debian-broken runs")
    console = device.start(apply, device.update("debian-new"), **watched)
    console.says("failed: check 10-system-running failed").runs("debian", phase="armed")
    console = device.start(look, **watched)
    console.says("release debian-new runs", "failed units: []", "watchdog is active")
    console.runs("debian-new", phase="settled", attempt=None)


def writes(device):
    """What is written to flash by an update with a new kernel: hardly more than its new objects and its slot."""
    before, after = arm(device, "hangs").numbers("written")
    objects, slot = device.added["hangs"], device.slot_bytes("boot-2")
    ratio = (after - before) / (objects + slot)
    yield f"{after - before:,} bytes written, {objects:,} of new objects, {slot:,} of the slot: {ratio:.3f} times both"
    # The journal of the file system takes the rest: docs/device.md.
    if ratio > 1.1:
        raise Wrong("that is more than 1.1 times")


# Those that take long come first, since several run at a time.
ALL = {
    "systemd": systemd,
    "power-cuts": power_cuts,
    "fall-back": fall_back,
    "other-system": other_system,
    "damage": damage,
    "keep": keep,
    "writes": writes,
}
