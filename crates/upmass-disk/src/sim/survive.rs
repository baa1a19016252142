//! What a power cut leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::tree::{Data, DirectoryId, File, Name, Node, ROOT, Tree};

/// How lucky we are with what was not synced when the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survivors {
    /// Names and contents go back to what was synced.
    Nothing,
    /// All that was done is there.
    Everything,
    /// All changes of names are there, but no content that was not synced: a file ends where it
    /// was last synced. The classic empty file behind a rename.
    NamesOnly,
    /// As [`Survivors::NamesOnly`], but files have their full length, filled with zeros.
    NamesAndLengths,
    /// Chance decides, and one number always decides alike. Each name means what it meant at
    /// some moment since its directory was synced, independently of other names: a moved file
    /// may have the old name, the new one, both or neither. Each content that was not synced is
    /// there, cut short anywhere, zeros, or has holes of 512-byte sectors.
    ///
    /// One thing is beyond chance, as file systems make a rename in one piece: a file that was
    /// only moved and whose old name is still durable has at least one name.
    Random(u64),
}

impl Survivors {
    /// Those without chance.
    pub const CERTAIN: [Survivors; 4] = [
        Survivors::Nothing,
        Survivors::Everything,
        Survivors::NamesOnly,
        Survivors::NamesAndLengths,
    ];

    /// Those without chance, and `random` ones with chance.
    pub fn some(random: u64) -> impl Iterator<Item = Survivors> {
        Self::CERTAIN.into_iter().chain((0..random).map(Survivors::Random))
    }
}

impl Tree {
    pub(super) fn after_power_cut(&self, survivors: Survivors) -> Tree {
        let mut chance = Chance::new(survivors);
        let moments = match survivors {
            Survivors::Nothing => Moments::durable(),
            Survivors::Everything | Survivors::NamesOnly | Survivors::NamesAndLengths => {
                Moments::now()
            }
            Survivors::Random(_) => self.random_moments(&mut chance),
        };
        let mut rebuild = Rebuild {
            old: self,
            moments,
            survivors,
            chance,
            files: BTreeMap::new(),
            new: Tree::new(self.capacity),
        };
        rebuild.directory(ROOT, ROOT);
        rebuild.new.sync_all();
        rebuild.new
    }

    /// A moment for each name, so that no file is lost which was only moved.
    fn random_moments(&self, chance: &mut Chance) -> Moments {
        let mut moments = Moments::now();
        for (directory, names) in self.directories.iter().enumerate() {
            for (name, meaning) in names.iter().filter(|(_, meaning)| !meaning.past.is_empty()) {
                moments.choose(directory, name, chance.moment(meaning.past.len()));
            }
        }
        let wanted = self.files(&Moments::now());
        // Each round gives durable meanings back to names, and never takes one away; so it ends.
        loop {
            let found = self.files(&moments);
            let mut rescues: BTreeMap<u64, Vec<Path>> = BTreeMap::new();
            self.each_file(&Moments::durable(), &mut |path, file| {
                if wanted.contains(&file) && !found.contains(&file) {
                    rescues.entry(file).or_default().push(path.clone());
                }
            });
            if rescues.is_empty() {
                return moments;
            }
            for paths in rescues.values() {
                for (directory, name) in &paths[chance.below(paths.len())] {
                    moments.choose(*directory, name, 0);
                }
            }
        }
    }

    fn files(&self, moments: &Moments) -> BTreeSet<u64> {
        let mut files = BTreeSet::new();
        self.each_file(moments, &mut |_, file| {
            files.insert(file);
        });
        files
    }

    /// Shows the files that are there when names mean what they meant at `moments`.
    fn each_file<'t>(&'t self, moments: &Moments, note: &mut dyn FnMut(&Path<'t>, u64)) {
        self.each_file_in(ROOT, &mut Vec::new(), moments, note);
    }

    fn each_file_in<'t>(
        &'t self,
        directory: DirectoryId,
        path: &mut Path<'t>,
        moments: &Moments,
        note: &mut dyn FnMut(&Path<'t>, u64),
    ) {
        for (name, meaning) in &self.directories[directory] {
            path.push((directory, name));
            match meaning.meaning(moments.of(directory, name, meaning)) {
                Some(Node::File(file)) => note(path, file.id),
                Some(Node::Directory(id)) => self.each_file_in(*id, path, moments, note),
                None => {}
            }
            path.pop();
        }
    }
}

/// The names from the volume's own directory to a file.
type Path<'t> = Vec<(DirectoryId, &'t str)>;

/// For each name the moment whose meaning survives.
struct Moments {
    chosen: BTreeMap<DirectoryId, BTreeMap<String, usize>>,
    /// For names that are not chosen: the durable moment, or now.
    others_durable: bool,
}

impl Moments {
    fn now() -> Self {
        Self { chosen: BTreeMap::new(), others_durable: false }
    }

    fn durable() -> Self {
        Self { chosen: BTreeMap::new(), others_durable: true }
    }

    fn choose(&mut self, directory: DirectoryId, name: &str, moment: usize) {
        let names = self.chosen.entry(directory).or_default();
        names.insert(name.to_owned(), moment);
    }

    fn of(&self, directory: DirectoryId, name: &str, meaning: &Name) -> usize {
        let now = meaning.past.len();
        match self.chosen.get(&directory).and_then(|names| names.get(name)) {
            Some(moment) => *moment,
            None if self.others_durable => 0,
            None => now,
        }
    }
}

struct Rebuild<'a> {
    old: &'a Tree,
    moments: Moments,
    survivors: Survivors,
    chance: Chance,
    /// New files by the number of the old one: a file with two names stays one file.
    files: BTreeMap<u64, Arc<File>>,
    new: Tree,
}

impl Rebuild<'_> {
    fn directory(&mut self, from: DirectoryId, to: DirectoryId) {
        let old = self.old;
        for (name, meaning) in &old.directories[from] {
            let moment = self.moments.of(from, name, meaning);
            let place = (to, name.clone());
            match meaning.meaning(moment) {
                Some(Node::Directory(id)) => {
                    let new = self.new.new_directory(place);
                    self.directory(*id, new);
                }
                Some(Node::File(file)) => match self.files.get(&file.id) {
                    Some(new) => self.new.set(place, Some(Node::File(new.clone()))),
                    None => {
                        let content = surviving(&file.data(), self.survivors, &mut self.chance);
                        let new = self.new.new_file_with(place, content);
                        self.files.insert(file.id, new);
                    }
                },
                None => {}
            }
        }
    }
}

/// The content that survives; it begins with what was synced.
fn surviving(data: &Data, survivors: Survivors, chance: &mut Chance) -> Arc<Vec<u8>> {
    let (synced, len) = (data.synced, data.content.len());
    if synced == len {
        return data.content.clone();
    }
    let cut_short = |len| Arc::new(data.content[..len].to_vec());
    let with_zeros = |len| {
        let mut content = data.content[..synced].to_vec();
        content.resize(len, 0);
        content
    };
    match survivors {
        Survivors::Everything => data.content.clone(),
        Survivors::Nothing | Survivors::NamesOnly => cut_short(synced),
        Survivors::NamesAndLengths => Arc::new(with_zeros(len)),
        Survivors::Random(_) => match chance.fate() {
            Fate::Kept => data.content.clone(),
            Fate::Lost => cut_short(synced),
            Fate::CutShort => cut_short(chance.between(synced, len)),
            Fate::Zeros => Arc::new(with_zeros(chance.long_between(synced, len))),
            Fate::Holes => {
                let mut content = with_zeros(chance.long_between(synced, len));
                let mut start = synced;
                while start < content.len() {
                    let end = content.len().min((start / SECTOR + 1) * SECTOR);
                    if chance.below(2) == 0 {
                        content[start..end].copy_from_slice(&data.content[start..end]);
                    }
                    start = end;
                }
                Arc::new(content)
            }
        },
    }
}

/// What becomes of content that was not synced.
#[derive(Clone, Copy)]
enum Fate {
    Kept,
    Lost,
    CutShort,
    Zeros,
    Holes,
}

/// Numbers that look random and always are the same for one seed (SplitMix64).
struct Chance {
    state: u64,
    mood: Mood,
}

/// A volume on which nearly all survives, or nearly nothing, finds other mistakes than one that
/// loses every second change; with many changes, chance alone would never make one.
#[derive(Clone, Copy)]
enum Mood {
    Even,
    Kind,
    Harsh,
}

impl Chance {
    fn new(survivors: Survivors) -> Self {
        let state = match survivors {
            Survivors::Random(seed) => seed,
            _ => 0,
        };
        let mut chance = Self { state, mood: Mood::Even };
        chance.mood = [Mood::Even, Mood::Kind, Mood::Harsh][chance.below(3)];
        chance
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// As `between`, and every second time the last.
    fn long_between(&mut self, first: usize, last: usize) -> usize {
        match self.below(2) {
            0 => last,
            _ => self.between(first, last),
        }
    }

    /// The mood, but one choice of eight is free of it.
    fn mood(&mut self) -> Mood {
        match self.below(8) {
            0 => Mood::Even,
            _ => self.mood,
        }
    }

    /// A moment of a name that changed `changes` times.
    fn moment(&mut self, changes: usize) -> usize {
        match self.mood() {
            Mood::Even => self.between(0, changes),
            Mood::Kind => changes,
            Mood::Harsh => 0,
        }
    }

    fn fate(&mut self) -> Fate {
        match self.mood() {
            Mood::Even => FATES[self.below(FATES.len())],
            Mood::Kind => Fate::Kept,
            Mood::Harsh => Fate::Lost,
        }
    }
}

const FATES: [Fate; 5] = [Fate::Kept, Fate::Lost, Fate::CutShort, Fate::Zeros, Fate::Holes];

/// What a disk writes in one piece, in bytes.
const SECTOR: usize = 512;
