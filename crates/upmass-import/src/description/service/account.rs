//! Users and groups of an image, by its own `/etc/passwd` and `/etc/group`.

use upmass_store::StoreError;

use super::inside::Inside;

/// Who a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Further groups, ascending.
    pub(super) groups: Vec<u32>,
    /// Its home directory, where the image knows it.
    pub(super) home: Option<String>,
}

/// Looks up `user` or `user:group`, names or numbers. `None` where the image does not know a name.
pub(super) fn look_up(inside: &Inside<'_>, user: &str) -> Result<Option<Account>, StoreError> {
    let passwd = inside.text("/etc/passwd", MAX_LEN)?;
    let group = inside.text("/etc/group", MAX_LEN)?;
    Ok(find(&passwd, &group, user))
}

fn find(passwd: &str, group: &str, user: &str) -> Option<Account> {
    let (user, wanted_group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let entry = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|entry| entry.len() >= 6 && (entry[0] == user || entry[2] == user));
    let uid = match &entry {
        Some(entry) => entry[2].parse().ok()?,
        None => user.parse().ok()?,
    };
    let name = entry.as_ref().map_or(user, |entry| entry[0]);
    let groups_of = || {
        group
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .filter(|entry| entry.len() >= 3)
    };
    let gid = match (wanted_group, &entry) {
        (Some(wanted), _) => match groups_of().find(|entry| entry[0] == wanted) {
            Some(entry) => entry[2].parse().ok()?,
            None => wanted.parse().ok()?,
        },
        (None, Some(entry)) => entry[3].parse().ok()?,
        (None, None) => 0,
    };
    let mut groups: Vec<u32> = match wanted_group {
        Some(_) => Vec::new(),
        None => groups_of()
            .filter(|entry| {
                entry.get(3).is_some_and(|members| members.split(',').any(|member| member == name))
            })
            .filter_map(|entry| entry[2].parse().ok())
            .filter(|group| *group != gid)
            .collect(),
    };
    groups.sort_unstable();
    groups.dedup();
    let home = entry.map(|entry| entry[5].to_owned()).filter(|home| home.starts_with('/'));
    Some(Account { uid, gid, groups, home })
}

const MAX_LEN: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\napp:x:1000:100:App:/home/app:/bin/sh\nbad\n";
    const GROUP: &str = "root:x:0:\nusers:x:100:\naudio:x:29:app,other\nvideo:x:44:app\n";

    fn check(user: &str, expected: Option<(u32, u32, &[u32])>) {
        let found = find(PASSWD, GROUP, user);
        let found = found.as_ref().map(|account| (account.uid, account.gid, &account.groups[..]));
        assert_eq!(found, expected, "{user}");
    }

    #[test]
    fn users_and_groups_are_names_or_numbers() {
        check("", Some((0, 0, &[])));
        check("app", Some((1000, 100, &[29, 44])));
        check("1000", Some((1000, 100, &[29, 44])));
        check("app:video", Some((1000, 44, &[])));
        check("1883:1883", Some((1883, 1883, &[])));
        check("1883", Some((1883, 0, &[])));
        check("nobody", None);
        check("app:nogroup", None);
        check("-1", None);
    }
}
