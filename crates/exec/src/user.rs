//! [`User`]: whom a process runs as.

use nix::unistd::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

/// A user of this machine with all groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: PathBuf,
}

/// Why a user cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The machine has no such user.
    #[error("found user {name:?}, expected one of this machine")]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The users or groups cannot be read.
    #[error("user {name:?} cannot be looked up: {errno}")]
    Lookup {
        /// The name that was asked for.
        name: String,
        /// The system's error.
        errno: nix::errno::Errno,
    },
}

impl User {
    /// Returns the user with this name, as the system finds users: files, or a directory service.
    ///
    /// # Errors
    ///
    /// [`UserError::Unknown`] if there is none, else [`UserError::Lookup`].
    pub fn named(name: &str) -> Result<Self, UserError> {
        let unknown = || UserError::Unknown { name: name.to_owned() };
        let failed = |errno| UserError::Lookup { name: name.to_owned(), errno };
        let c_name = CString::new(name).map_err(|_| unknown())?;
        let user = nix::unistd::User::from_name(name).map_err(failed)?.ok_or_else(unknown)?;
        let groups = nix::unistd::getgrouplist(&c_name, user.gid).map_err(failed)?;
        Ok(Self::of(user, groups))
    }

    /// Returns the user of this program. One without an entry among the users is called by its number.
    ///
    /// # Errors
    ///
    /// [`UserError::Lookup`] if users or groups cannot be read.
    pub fn current() -> Result<Self, UserError> {
        let uid = Uid::effective();
        let failed = |errno| UserError::Lookup { name: uid.to_string(), errno };
        let groups = nix::unistd::getgroups().map_err(failed)?;
        Ok(match nix::unistd::User::from_uid(uid).map_err(failed)? {
            Some(user) => Self { gid: Gid::effective().as_raw(), ..Self::of(user, groups) },
            None => Self {
                name: uid.to_string(),
                uid: uid.as_raw(),
                gid: Gid::effective().as_raw(),
                groups: groups.into_iter().map(Gid::as_raw).collect(),
                home: PathBuf::from("/"),
            },
        })
    }

    fn of(user: nix::unistd::User, groups: Vec<Gid>) -> Self {
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        Self { name: user.name, uid, gid, groups: groups.into_iter().map(Gid::as_raw).collect(), home: user.dir }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// Returns the number of the user's own group.
    pub const fn gid(&self) -> u32 {
        self.gid
    }

    /// Returns the numbers of all groups.
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// Returns the home folder, which may not exist.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Makes this thread, and no other, one of this user, with all groups. The system has users for each thread; libc has not, and
    /// nothing here asks it to.
    pub(crate) fn take_on(&self) -> io::Result<()> {
        let groups: Vec<_> = self.groups.iter().map(|group| rustix::thread::Gid::from_raw(*group)).collect();
        let (uid, gid) = (rustix::thread::Uid::from_raw(self.uid), rustix::thread::Gid::from_raw(self.gid));
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }

    /// Returns whether processes of this program run as this user anyway.
    pub fn is_current(&self) -> bool {
        self.uid == Uid::effective().as_raw()
    }
}

/// Names of owners of files.
pub(crate) mod name_of {
    use nix::unistd::{Gid, Group, Uid, User};

    /// Returns the name of a user, or the number of one without a name.
    pub(crate) fn user(uid: u32) -> String {
        User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
    }

    /// Returns the name of a group, or the number of one without a name.
    pub(crate) fn group(gid: u32) -> String {
        Group::from_gid(Gid::from_raw(gid)).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_nobody_else_is_made_up() {
        let root = User::named("root").unwrap();
        assert_eq!((root.name(), root.uid(), root.gid()), ("root", 0, 0));
        assert!(root.groups().contains(&0));
        for name in ["nobody-here", "a\0b", ""] {
            assert_eq!(User::named(name), Err(UserError::Unknown { name: name.to_owned() }));
        }
        assert!(User::current().unwrap().is_current());
    }
}
