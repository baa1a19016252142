//! What a checkout does, from the release to the directory.

use std::path::Path;

use upmass_format::release::{Release, System};
use upmass_format::{ReleaseId, TreePath};
use upmass_store::Store;

use crate::attributes::Attributes;
use crate::content::Contents;
use crate::fill::Fill;
use crate::leaf::Leaves;
use crate::member::Member;
use crate::partial::Partial;
use crate::settle::Settle;
use crate::{CheckoutError, Options, Registration, Report, Result, registration};

/// Makes a directory of one system of a release: all that its root components are and refer to,
/// each at its install path below `target`. Without a name it is the fallback system.
///
/// `target` must not exist, or be an empty directory, which is replaced. It gets its name when
/// it is whole: whatever fails, it is as before, unless the error is
/// [`CheckoutError::NotDurable`]. Meanwhile there is a directory `.<target>.partial-upmass-<…>`
/// beside it. When this process is killed that one stays, and the next checkout to the same
/// target removes it.
///
/// - Directories above install paths that no component has belong to root, with mode 0755.
/// - A directory that several components have is merged, and is as in the one with the deepest
///   install path; of those with the same install path, as in the last one by name.
/// - Anything else that two components have is refused, and so is a component that is installed
///   behind a symlink.
/// - Times are as the trees say, as far as the file system can hold them; where they keep none,
///   and of directories that no component has, they are as [`Times`](crate::Times) says.
/// - Extended attributes of anything but files and directories need `/proc`.
///
/// `progress` is told the bytes of content so far, holes included. The release cannot be
/// removed from the store meanwhile.
///
/// Memory does not grow with the trees: it holds the release, one entry, and 128 KiB.
///
/// # Errors
/// See [`CheckoutError`].
pub fn checkout_system(
    store: &Store,
    release_id: ReleaseId,
    system: Option<&str>,
    target: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report> {
    let _lock = store.lock_release(release_id)?;
    let release = store.release(release_id)?;
    let system = find_system(&release, release_id, system)?;
    let indexes = release.closure(system);
    let members = Member::in_order(&release, &indexes);
    checkout(store, &release, &indexes, &members, target, options, progress)
}

/// Makes a directory of one component alone: `target` is the root of its tree, wherever it is
/// installed. All else is as in [`checkout_system`].
///
/// # Errors
/// See [`CheckoutError`].
pub fn checkout_component(
    store: &Store,
    release_id: ReleaseId,
    component: &str,
    target: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report> {
    let _lock = store.lock_release(release_id)?;
    let release = store.release(release_id)?;
    let Some(index) = release.component(component) else {
        return Err(CheckoutError::UnknownComponent {
            release: release_id,
            name: component.to_owned(),
        });
    };
    let member = Member {
        name: component.to_owned(),
        install: TreePath::root(),
        tree: release.components[index].tree,
    };
    checkout(store, &release, &[index], &[member], target, options, progress)
}

fn find_system<'r>(release: &'r Release, id: ReleaseId, name: Option<&str>) -> Result<&'r System> {
    let Some(name) = name else {
        return Ok(&release.systems[release.fallback]);
    };
    let found = release.systems.iter().find(|system| system.name == name);
    found.ok_or_else(|| {
        let known: Vec<_> = (release.systems.iter()).map(|system| system.name.as_str()).collect();
        CheckoutError::UnknownSystem { release: id, name: name.to_owned(), known: known.join(", ") }
    })
}

fn checkout(
    store: &Store,
    release: &Release,
    indexes: &[usize],
    members: &[Member],
    target: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report> {
    let partial = Partial::create(target)?;
    let mut report = Report::default();
    let mut attributes = Attributes::new(options);
    let mut fill = Fill {
        store,
        root: partial.root(),
        members,
        leaves: Leaves {
            sharing: options.sharing,
            contents: Contents::new(store, progress),
            attributes: &mut attributes,
            report: &mut report,
        },
    };
    let existing =
        (0..members.len()).map(|index| fill.member(index)).collect::<Result<Vec<usize>>>()?;
    if options.registration == Registration::Nix {
        let root = partial.root();
        report.registered = registration::write(store, release, indexes, root, &mut |_| {})?;
    }
    let mut settle = Settle { store, root: partial.root(), attributes: &mut attributes };
    for (member, existing) in members.iter().zip(existing) {
        settle.member(member, existing)?;
    }
    settle.root(members)?;
    partial.publish(options.durable)?;
    report.left_out = attributes.left_out;
    Ok(report)
}
