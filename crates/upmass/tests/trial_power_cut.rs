//! All of an update on a device, on a disk, EFI variables and a system partition that lose power together, and on a disk
//! whose U-Boot is told by sectors of it: apply, arm,
//! trial, confirm, roll back. A cut at every step, everything that it may leave, a second cut while that is put right;
//! and each state is decided by a start as firmware does it: the old release, the new one, or broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use upmass_apply::{Limits, Received, Trust};
use upmass_boot::attempt::Reason;
use upmass_boot::uboot::UBoot;
use upmass_boot::uefi::Uefi;
use upmass_boot::variables::{SimVariables, VariableError, Variables, Vendor};
use upmass_boot::{Bootloader, Control, Here, check_slot};
use upmass_build::{Options, build_update};
use upmass_disk::gpt::{BOOT_ONCE, Guid, Layout, NewPartition, Slot, kind};
use upmass_disk::{Disk, Flushes, Found, SimDisk, SimVolume, SlotDisk, Survivors};
use upmass_format::release::{
    BootFile, BootKind, Changes, Component, InstallPath, Release, System,
};
use upmass_format::tree::{Child, Directory, Meta, MtimePolicy, Node};
use upmass_format::{Name, ReleaseId, TreePath};
use upmass_image::{Loader, SlotFile, SlotFileSystem, Source, extlinux, uefi};
use upmass_store::Store;

const MIB: u64 = 1 << 20;
/// The shortest slot that FAT32 allows, and a bit.
const SLOT: u64 = 34 * MIB;
const DISK: u64 = MIB + 2 * SLOT + 3 * MIB + 65 * 512;
/// States by chance for each cut with too many combinations, besides those without chance.
const RANDOM: u64 = 20;
const CAPACITY: u64 = 64 << 20;

/// A device at one moment.
struct Device {
    disk: Arc<SimDisk>,
    variables: Arc<SimVariables>,
    /// The system partition: store and record.
    volume: SimVolume,
    here: Here,
    loader: Loader,
}

/// Which store took a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Disk,
    Variables,
    Volume,
}

/// What the sender has.
struct Sender {
    update: Vec<u8>,
    old: ReleaseId,
    new: ReleaseId,
}

/// An operation of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Apply,
    Confirm,
    GiveUp,
    RollBack,
}

/// How many states of each kind there were.
#[derive(Debug, Default)]
struct Census {
    cuts: u64,
    states: u64,
    old: u64,
    new: u64,
    broken: Vec<String>,
}

fn layout(loader: Loader) -> Layout {
    let guid = |number: u8| Guid::from_digest([number; 16]);
    let new = |name: &str, number| NewPartition {
        name: name.to_owned(),
        id: guid(number),
        kind: kind::LINUX,
        len: Some(MIB),
    };
    let mut others = vec![new("system", 3), new("data", 4)];
    if loader == Loader::UBoot {
        others.insert(0, new(BOOT_ONCE, 5));
    }
    Layout::new(DISK, guid(0), [guid(1), guid(2)], SLOT, others).unwrap()
}

fn release(store: &Store, version: u8) -> ReleaseId {
    let meta = Meta { mode: 0o644, ..Meta::default() };
    let mut children = BTreeMap::new();
    for (file, number) in [("vmlinuz", 1u32), ("initrd", 2), ("program", 3)] {
        let mut content: Vec<u8> = (0..6_000u32).map(|i| ((i * i) >> (6 + number)) as u8).collect();
        content[3000] = version;
        let node = Node::Object { size: content.len() as u64, id: store.put(&content).unwrap() };
        children.insert(Name::new(file).unwrap(), Child::Leaf(meta.clone(), node));
    }
    let root = Directory { meta: Meta { mode: 0o755, ..Meta::default() }, children };
    let tree = store.put(&root.to_bytes(MtimePolicy::Normalised).unwrap()).unwrap();
    let file = |kind, path: &[u8]| BootFile {
        kind,
        component: 0,
        path: TreePath::new(path.to_vec()).unwrap(),
    };
    let release = Release {
        machine: "test".to_owned(),
        counter: version.into(),
        labels: BTreeMap::new(),
        components: vec![Component {
            name: "all".to_owned(),
            install: InstallPath::new(b"/").unwrap(),
            references: Vec::new(),
            labels: BTreeMap::new(),
            tree: tree.into(),
        }],
        systems: vec![System {
            name: "main".to_owned(),
            labels: BTreeMap::new(),
            roots: vec![0],
            boot: vec![file(BootKind::Kernel, b"vmlinuz"), file(BootKind::Initrd, b"initrd")],
            command_line: String::new(),
            changes: Changes::default(),
        }],
        fallback: 0,
    };
    store.record(&release).unwrap()
}

fn files(loader: Loader, store: &Store, id: ReleaseId) -> Vec<SlotFile> {
    if loader == Loader::UBoot {
        return extlinux::slot_files(store, id, &store.release(id).unwrap()).unwrap();
    }
    let path = "EFI/BOOT/BOOTX64.EFI".to_owned();
    let loader = vec![SlotFile { path, source: Source::Bytes(vec![1; 700]) }];
    uefi::slot_files_with(store, id, &store.release(id).unwrap(), loader).unwrap()
}

fn boot_id(number: u8) -> Guid {
    Guid::from_digest([number; 16])
}

impl Device {
    /// A device that runs the old release from slot 1, as it was installed.
    fn new(loader: Loader) -> (Self, Sender) {
        let host = SimVolume::new(CAPACITY);
        let store = Store::create_on(Arc::new(host), "host").unwrap();
        let [old, new] = [1, 2].map(|version| release(&store, version));
        let build = |from| build_update(&store, from, new, &[], &Options::default(), &|_| {});
        let sender = Sender { update: build(Some(old)).unwrap().to_bytes(), old, new };
        let volume = SimVolume::new(CAPACITY);
        let device = Store::create_on(Arc::new(volume.clone()), "device").unwrap();
        assert_eq!(release(&device, 1), old);
        drop(device);

        let disk = Arc::new(SimDisk::new(DISK / 512));
        let layout = layout(loader);
        let slots = SlotDisk::install(disk.clone(), layout.clone(), Slot::Two).unwrap();
        let files = files(loader, &store, old);
        let image = SlotFileSystem::plan(&store, &files, layout.slot(Slot::One)).unwrap();
        slots.into_inactive().write(&image, &mut |_| {}).unwrap().switch().unwrap();
        let here = Here { booted: Slot::One, running: old, boot: boot_id(0) };
        let variables = Arc::new(SimVariables::of_systemd_boot());
        let this = Self { disk, variables, volume, here, loader };
        (this.copy(), sender)
    }

    fn copy(&self) -> Self {
        Self {
            disk: Arc::new(self.disk.copy()),
            variables: Arc::new(self.variables.copy()),
            volume: self.volume.after_power_cut(Survivors::Everything),
            here: self.here,
            loader: self.loader,
        }
    }

    fn with_flushes(self, flushes: Flushes) -> Self {
        Self { disk: Arc::new(self.disk.copy().with_flushes(flushes)), ..self }
    }

    fn store(&self) -> Store {
        Store::create_on(Arc::new(self.volume.clone()), "device").unwrap()
    }

    fn control(&self) -> Result<Control, String> {
        self.control_on(self.disk.clone(), self.variables.clone())
    }

    fn control_on(
        &self,
        disk: Arc<dyn Disk>,
        variables: Arc<dyn Variables>,
    ) -> Result<Control, String> {
        let loader: Box<dyn Bootloader> = match self.loader {
            Loader::SystemdBoot => Box::new(Uefi::of(variables, "x86_64")),
            Loader::UBoot => Box::new(UBoot::of(disk.clone(), &layout(self.loader)).unwrap()),
        };
        Control::open(disk, loader, Arc::new(self.volume.clone()), self.here)
            .map_err(|error| error.to_string())
    }

    /// What the command does, on these views of the device's stores.
    fn run(
        &self,
        operation: Operation,
        sender: &Sender,
        disk: Arc<dyn Disk>,
        variables: Arc<dyn Variables>,
    ) -> Result<(), String> {
        fn text(error: impl std::fmt::Display) -> String {
            error.to_string()
        }
        let control = self.control_on(disk, variables)?;
        let done = match operation {
            Operation::Apply => {
                control.check_arm().map_err(text)?;
                let store = Store::on(Arc::new(self.volume.clone()), "device").map_err(text)?;
                let received = Received::read(&sender.update).map_err(text)?;
                let fitting = received.verify(&Trust::anything()).map_err(text)?;
                let fitting = fitting.fit(&store, &Limits::default()).map_err(text)?;
                fitting.apply(&mut |_| {}).map_err(text)?;
                let slot = control.view().map_err(text)?.active.other();
                let files = files(self.loader, &store, sender.new);
                let image = SlotFileSystem::plan(&store, &files, layout(self.loader).slot(slot))
                    .map_err(text)?;
                control.arm(sender.new, &image, &mut |_| {})
            }
            Operation::Confirm => control.confirm(&mut |_| {}),
            Operation::GiveUp => control.give_up(Reason::new("a check failed")),
            Operation::RollBack => control.roll_back(&mut |_| {}),
        };
        done.map(|_| ()).map_err(text)
    }

    fn run_plain(&self, operation: Operation, sender: &Sender) -> Result<(), String> {
        self.run(operation, sender, self.disk.clone(), self.variables.clone())
    }

    /// Which store takes each step of an operation, in the order of time.
    fn timeline(&self, operation: Operation, sender: &Sender) -> Vec<Which> {
        let counted = self.copy();
        let timeline = Arc::new(Timeline { volume: counted.volume.clone(), log: Mutex::default() });
        let disk = NotedDisk(counted.disk.clone(), timeline.clone());
        let variables = NotedVariables(counted.variables.clone(), timeline.clone());
        counted.run(operation, sender, Arc::new(disk), Arc::new(variables)).unwrap();
        timeline.settle();
        timeline.log.lock().unwrap().clone()
    }

    /// The device whose power fails after these steps of an operation.
    fn cut(&self, operation: Operation, sender: &Sender, timeline: &[Which]) -> Self {
        let cut = self.copy();
        let cut = Self { disk: Arc::new(cut.disk.copy().with_flushes(self.disk.flushes())), ..cut };
        let count = |which| timeline.iter().filter(|step| **step == which).count();
        cut.disk.cut_power_at(count(Which::Disk) as u64);
        cut.variables.cut_power_at(count(Which::Variables));
        cut.volume.cut_power_at(count(Which::Volume) as u64);
        let _ = cut.run_plain(operation, sender);
        cut
    }

    /// All that a cut may leave.
    fn after_cut(&self, next: Option<Which>, look: &mut dyn FnMut(Device)) {
        let steps = self.variables.steps();
        // The variable that is being written may be lost.
        let variables: Vec<Arc<SimVariables>> = match next {
            Some(Which::Variables) => self.variables.crash_states(steps),
            _ => vec![self.variables.copy()],
        }
        .into_iter()
        .map(Arc::new)
        .collect();
        let volumes: Vec<SimVolume> = match next {
            Some(Which::Volume) => Survivors::some(2).collect(),
            _ => vec![Survivors::Nothing],
        }
        .into_iter()
        .map(|survivors| self.volume.after_power_cut(survivors))
        .collect();
        for variables in &variables {
            for volume in &volumes {
                self.disk.crash_states_now(RANDOM, &mut |disk| {
                    look(Device {
                        disk: Arc::new(disk),
                        variables: Arc::new(variables.copy()),
                        volume: volume.after_power_cut(Survivors::Everything),
                        here: self.here,
                        loader: self.loader,
                    });
                });
            }
        }
    }

    /// A start: firmware uses up the one-shot, passes over what is no file system, and gives the
    /// release that runs then. It must be whole, in its slot and in the store.
    fn start(&mut self, whole: &mut dyn FnMut(&Device, ReleaseId) -> bool) -> Result<(), String> {
        let found = Found::on(&*self.disk).map_err(|error| error.to_string())?;
        let mut booted = found.active;
        let is_bootable = |slot: &Slot| {
            let content = found.content(self.disk.clone(), *slot).unwrap();
            upmass_boot::slot_release(&content).is_some()
        };
        if let Some(once) = self.once() {
            let told = UBoot::of(self.disk.clone(), &found.layout).unwrap();
            let armed = told.armed(&found.layout).unwrap();
            self.disk.write_at(&[0; 512], once).unwrap();
            self.disk.flush().unwrap();
            booted = armed.filter(is_bootable).unwrap_or(booted);
        }
        if let Some(next) = self.variables.read(Vendor::Global, "BootNext").unwrap() {
            self.variables.remove(Vendor::Global, "BootNext").unwrap();
            let name = format!("Boot{:04X}", u16::from_le_bytes(next[..].try_into().unwrap()));
            let option = self.variables.read(Vendor::Global, &name).unwrap().unwrap_or_default();
            for (number, slot) in [(1u32, found.active), (2, found.active.other())] {
                let node = [&[4, 1, 42, 0], &number.to_le_bytes()[..]].concat();
                let id = found.layout.slot(slot).id;
                let has = |part: &[u8]| option.windows(part.len()).any(|window| window == part);
                if has(&node) && has(id.as_bytes()) && is_bootable(&slot) {
                    booted = slot;
                }
            }
        }
        let content = found.content(self.disk.clone(), booted).unwrap();
        let running = check_slot(&content, &mut |_| {})
            .map_err(|error| format!("slot {booted} boots, and is not whole: {error}"))?;
        if !whole(self, running) {
            return Err(format!(
                "release {} boots, and the store does not have it",
                running.short()
            ));
        }
        let boot = if self.here.boot == boot_id(1) { boot_id(2) } else { boot_id(1) };
        self.here = Here { booted, running, boot };
        Ok(())
    }

    /// Where U-Boot is told what to do once.
    fn once(&self) -> Option<u64> {
        Some(layout(self.loader).partition(BOOT_ONCE)?.range.start())
    }

    /// What decides what boots, in short: states that agree in it are the same.
    fn signature(&self) -> String {
        let sectors = DISK / 512;
        let read = |sector: u64| {
            let mut content = [0; 512];
            let _ = self.disk.read_at(&mut content, sector * 512);
            content
        };
        let layout = layout(self.loader);
        let slots = Slot::ALL.map(|slot| {
            let found = Found::on(&*self.disk).ok()?;
            check_slot(&found.content(self.disk.clone(), slot)?, &mut |_| {}).ok()
        });
        let places = [1, sectors - 1, layout.slot(Slot::One).first, layout.slot(Slot::Two).first];
        let next = self.variables.read(Vendor::Global, "BootNext").unwrap();
        let record = self.volume.snapshot().remove("boot/attempt");
        let once = self.once().map(|once| read(once / 512));
        format!("{:?} {slots:?} {next:?} {once:?} {record:?}", places.map(read))
    }
}

struct Timeline {
    volume: SimVolume,
    log: Mutex<Vec<Which>>,
}

impl Timeline {
    /// The steps of the volume that were taken since.
    fn settle(&self) {
        let mut log = self.log.lock().unwrap();
        let known = log.iter().filter(|step| **step == Which::Volume).count();
        log.extend(vec![Which::Volume; self.volume.steps() as usize - known]);
    }

    fn note(&self, which: Which) {
        self.settle();
        self.log.lock().unwrap().push(which);
    }
}

struct NotedDisk(Arc<SimDisk>, Arc<Timeline>);

impl Disk for NotedDisk {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> upmass_disk::Result<()> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> upmass_disk::Result<()> {
        self.1.note(Which::Disk);
        self.0.write_at(bytes, offset)
    }
    fn flush(&self) -> upmass_disk::Result<()> {
        self.1.note(Which::Disk);
        self.0.flush()
    }
}

struct NotedVariables(Arc<SimVariables>, Arc<Timeline>);

impl NotedVariables {
    fn noting<T>(&self, change: impl FnOnce() -> T) -> T {
        let before = self.0.steps();
        self.1.settle();
        let result = change();
        if self.0.steps() > before {
            self.1.note(Which::Variables);
        }
        result
    }
}

impl Variables for NotedVariables {
    fn read(&self, vendor: Vendor, name: &str) -> Result<Option<Vec<u8>>, VariableError> {
        self.0.read(vendor, name)
    }
    fn write(&self, vendor: Vendor, name: &str, content: &[u8]) -> Result<(), VariableError> {
        self.noting(|| self.0.write(vendor, name, content))
    }
    fn remove(&self, vendor: Vendor, name: &str) -> Result<(), VariableError> {
        self.noting(|| self.0.remove(vendor, name))
    }
    fn names(&self, vendor: Vendor) -> Result<Vec<String>, VariableError> {
        self.0.names(vendor)
    }
    fn check_writable(&self) -> Result<(), VariableError> {
        self.0.check_writable()
    }
}

/// Whether the store has a release whole. The answer for the same content of the system partition
/// is remembered.
#[derive(Default)]
struct Wholes(BTreeMap<(Files, ReleaseId), bool>);

/// All paths, with the content of files.
type Files = BTreeMap<String, Option<Vec<u8>>>;

impl Wholes {
    fn ask(&mut self, device: &Device, id: ReleaseId) -> bool {
        let key = (device.volume.snapshot(), id);
        *self.0.entry(key).or_insert_with(|| {
            let store = device.store();
            let is_sound = store.check(&mut |_| {}).is_ok_and(|report| report.damages.is_empty());
            is_sound && store.has_release(id).unwrap_or(false)
        })
    }
}

/// Cuts an operation everywhere and decides each state by what the second start boots, when all
/// one-shots are used up. `then` looks at states that differ in what decides.
fn census(
    device: &Device,
    operation: Operation,
    sender: &Sender,
    then: &mut dyn FnMut(&Device),
) -> Census {
    let timeline = device.timeline(operation, sender);
    let (mut census, mut wholes) = (Census::default(), Wholes::default());
    let mut seen = BTreeSet::new();
    for step in 0..=timeline.len() {
        let cut = device.cut(operation, sender, &timeline[..step]);
        census.cuts += 1;
        cut.after_cut(timeline.get(step).copied(), &mut |state| {
            census.states += 1;
            match decide(&state, sender, &mut wholes) {
                Ok(id) if id == sender.old => census.old += 1,
                Ok(_) => census.new += 1,
                Err(why) => {
                    census.broken.push(format!("step {step} {:?}: {why}", timeline.get(step)))
                }
            }
            if seen.insert(state.signature()) {
                then(&state);
            }
        });
    }
    census
}

/// What a device ends in: what it boots when nothing is armed any more.
fn decide(state: &Device, sender: &Sender, wholes: &mut Wholes) -> Result<ReleaseId, String> {
    let mut started = state.copy();
    let mut whole = |device: &Device, id: ReleaseId| wholes.ask(device, id);
    // The first start may be a trial; it must be of something that is whole.
    started.start(&mut whole)?;
    started.start(&mut whole)?;
    let id = started.here.running;
    match id == sender.old || id == sender.new {
        true => Ok(id),
        false => Err(format!("release {} is neither the old nor the new one", id.short())),
    }
}

/// The device before each operation.
fn before(operation: Operation, device: &Device, sender: &Sender) -> Device {
    let mut device = device.copy();
    if operation == Operation::Apply {
        return device;
    }
    let mut whole = |_: &Device, _| true;
    device.run_plain(Operation::Apply, sender).unwrap();
    device.start(&mut whole).unwrap();
    if operation == Operation::RollBack {
        device.run_plain(Operation::Confirm, sender).unwrap();
        device.start(&mut whole).unwrap();
    }
    device.copy()
}

const OPERATIONS: [Operation; 4] =
    [Operation::Apply, Operation::Confirm, Operation::GiveUp, Operation::RollBack];

/// A row of the table in POWER-LOSS.md.
fn row(loader: Loader, operation: Operation, census: &Census, second: u64) -> String {
    let word = match operation {
        Operation::Apply => "apply and arm",
        Operation::Confirm => "confirm",
        Operation::GiveUp => "give up",
        Operation::RollBack => "roll back",
    };
    let loader = match loader {
        Loader::SystemdBoot => "UEFI",
        Loader::UBoot => "U-Boot",
    };
    let Census { cuts, states, old, new, broken } = census;
    format!(
        "| {loader} | {word} | {cuts} | {states} | {old} | {new} | {} | {second} |",
        broken.len()
    )
}

/// The table in POWER-LOSS.md is what this and the next one print with `--nocapture`.
#[test]
fn a_cut_at_any_step_ends_in_the_old_or_the_new_release_and_so_does_a_second_one() {
    every_cut(Loader::SystemdBoot);
}

#[test]
fn so_it_does_with_uboot() {
    every_cut(Loader::UBoot);
}

fn every_cut(loader: Loader) {
    let (device, sender) = Device::new(loader);
    for operation in OPERATIONS {
        let device = before(operation, &device, &sender);
        let mut second = 0;
        let census = census(&device, operation, &sender, &mut |state| {
            second += second_cut(state, &sender);
        });
        println!("{}", row(loader, operation, &census, second));
        assert_eq!(census.broken, [""; 0], "{operation:?}");
        let Census { old, new, states, .. } = census;
        assert!(states > 50 && second > 50, "{operation:?}: {states} {second}");
        match operation {
            // Nothing but confirming and rolling back changes what boots in the end.
            Operation::Apply | Operation::GiveUp => assert_eq!(new, 0, "{operation:?}"),
            Operation::Confirm | Operation::RollBack => assert!(old > 0 && new > 0),
        }
    }
}

/// After a cut the device starts, and the next command puts things right: cut again at every step of
/// that. It ends in the same release, and takes the next update.
fn second_cut(state: &Device, sender: &Sender) -> u64 {
    let mut wholes = Wholes::default();
    let expected = decide(state, sender, &mut wholes).unwrap();
    let mut started = state.copy();
    started.start(&mut |_, _| true).unwrap();
    let counted = started.copy();
    let steps = |device: &Device| {
        [device.disk.steps() as usize, device.variables.steps(), device.volume.steps() as usize]
    };
    drop(counted.control().unwrap());
    let [disk, variables, volume] = steps(&counted);
    let mut count = 0;
    let mut check = |cut: &Device, next| {
        cut.after_cut(Some(next), &mut |again| {
            count += 1;
            assert_eq!(decide(&again, sender, &mut wholes), Ok(expected));
        });
    };
    // The disk is put right first, then variables and record.
    for (which, steps) in
        [(Which::Disk, disk), (Which::Variables, variables), (Which::Volume, volume)]
    {
        for step in 0..steps {
            let cut = started.copy();
            match which {
                Which::Disk => cut.disk.cut_power_at(step as u64),
                Which::Variables => cut.variables.cut_power_at(step),
                Which::Volume => cut.volume.cut_power_at(step as u64),
            }
            let _ = cut.control();
            check(&cut, which);
        }
    }
    // In the end nothing stands in the way of the update.
    let mut whole = |_: &Device, _| true;
    started.start(&mut whole).unwrap();
    assert_eq!(started.here.running, expected);
    if expected == sender.old {
        started.run_plain(Operation::Apply, sender).unwrap();
        started.start(&mut whole).unwrap();
        started.run_plain(Operation::Confirm, sender).unwrap();
        started.start(&mut whole).unwrap();
        assert_eq!(started.here.running, sender.new);
    }
    count
}

/// What is found when an operation is done and the power fails then.
fn broken_after(device: &Device, operation: Operation, sender: &Sender) -> Vec<String> {
    let timeline = device.timeline(operation, sender);
    let cut = device.cut(operation, sender, &timeline);
    let (mut broken, mut wholes) = (Vec::new(), Wholes::default());
    cut.after_cut(None, &mut |state| broken.extend(decide(&state, sender, &mut wholes).err()));
    broken
}

#[test]
fn without_flushes_the_same_test_finds_broken_states() {
    for loader in [Loader::SystemdBoot, Loader::UBoot] {
        breaks_without_flushes(loader);
    }
}

fn breaks_without_flushes(loader: Loader) {
    let (device, sender) = Device::new(loader);
    for operation in [Operation::Apply, Operation::Confirm] {
        let device = before(operation, &device, &sender);
        assert_eq!(broken_after(&device, operation, &sender), [""; 0]);
    }
    // A slot is armed before its content is on the medium.
    let apply = device.copy().with_flushes(Flushes::Dropped);
    let broken = broken_after(&apply, Operation::Apply, &sender);
    assert!(broken.iter().any(|why| why.contains("is not whole")), "{} broken", broken.len());
    // Both headers are torn.
    let confirm = before(Operation::Confirm, &device, &sender).with_flushes(Flushes::Dropped);
    let broken = broken_after(&confirm, Operation::Confirm, &sender);
    assert!(broken.iter().any(|why| why.contains("no partition table")), "{} broken", broken.len());
}
