//! Which folders are published, under which names and addresses.

use crate::Webserve;
use crate::head::PROTOCOL;
use mute_plugin::folder::Folder;
use mute_plugin::{Address, Error, Identity, Incoming, Result, Signal, Stop, storage, time};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::rc::Rc;

/// Sites at a time. Each has an identity alive, of which the host lets a plugin have 64; fetching needs some too.
pub(crate) const SITES_MAX: usize = 32;
/// The longest name of a site, in bytes: what the host makes of a folder's name fits.
const NAME_MAX: usize = 80;
/// What a site's key starts with.
const PREFIX: &str = "site/";

/// A site, as stored. Its address is that of the identity kept under its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Site {
    /// The name by which the user granted its folder.
    pub(crate) folder: String,
    /// When it was published, in seconds since 1970-01-01 UTC.
    pub(crate) since_s: u64,
}

/// A site as it is at the moment.
pub(crate) struct Listed {
    pub(crate) name: String,
    /// None if it could not be started.
    pub(crate) address: Option<Address>,
    pub(crate) folder: String,
    pub(crate) since_s: u64,
    /// Whether its folder can be opened.
    pub(crate) has_folder: bool,
}

/// A site that is being served.
pub(crate) struct Running {
    pub(crate) address: Address,
    pub(crate) folder: String,
    /// Visitors as they come, until the service takes them over.
    incoming: Cell<Option<Incoming>>,
    /// Happens when the site is removed.
    pub(crate) stop: Stop,
    halt: Rc<Signal>,
    /// The address lives as long as this.
    _identity: Identity,
}

impl Running {
    fn start(name: &str, folder: &str) -> Result<Rc<Self>> {
        let identity = Identity::open(&identity_name(name))?;
        let incoming = identity.listen(PROTOCOL)?;
        let halt = Rc::new(Signal::default());
        let halted = Rc::clone(&halt);
        Ok(Rc::new(Self {
            address: identity.address(),
            folder: folder.to_owned(),
            incoming: Cell::new(Some(incoming)),
            stop: Stop::when(async move { halted.wait().await }),
            halt,
            _identity: identity,
        }))
    }
}

impl Webserve {
    /// Starts all stored sites. One that can't start does not keep the others from it.
    pub(crate) async fn start_all(&self) -> Result<()> {
        for (key, site) in storage::scan::<Site>(PREFIX, None, SITES_MAX as u32).await? {
            if let Err(error) = self.start(&key[PREFIX.len()..], &site.folder) {
                mute_plugin::error!("a site could not be started: {error}");
            }
        }
        Ok(())
    }

    /// Publishes a folder under a name; says the address.
    pub(crate) async fn publish(&self, name: &str, folder: &str) -> Result<Address> {
        check_name(name)?;
        let key = key(name);
        // One at a time: two at once could both find the last place free.
        let _alone = self.changing.lock().await;
        let known: Option<Site> = storage::get(&key).await?;
        if let Some(known) = known.filter(|known| known.folder != folder) {
            let other = known.folder;
            let message =
                format!("{name} is the folder {other} already; choose another name with --name, or remove it");
            return Err(Error::invalid(message));
        }
        let sites = storage::scan::<Site>(PREFIX, None, SITES_MAX as u32).await?;
        let is_new = !sites.iter().any(|(known, _)| *known == key);
        if is_new && sites.len() >= SITES_MAX {
            return Err(Error::new(Error::QUOTA, format!("{SITES_MAX} are the most sites; remove one first")));
        }
        if is_new {
            storage::put(&key, &Site { folder: folder.to_owned(), since_s: time::unix_s() }).await?;
        }
        match self.start(name, folder) {
            Ok(running) => Ok(running.address),
            Err(error) if is_new => {
                storage::remove(&key).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Unpublishes a site and forgets its address for ever.
    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        let _alone = self.changing.lock().await;
        if storage::get::<Site>(&key(name)).await?.is_none() {
            return Err(Error::not_found(format!("there is no site called {name:?}")));
        }
        storage::remove(&key(name)).await?;
        self.halt(name);
        let told = |error: Error| error.during("the site is removed, but the key of its address could not be deleted");
        match Identity::retire(&identity_name(name)) {
            // It never came to life.
            Err(error) if error.code() == Error::NOT_FOUND => Ok(()),
            result => result.map_err(told),
        }
    }

    /// All sites by name, as they are at the moment.
    pub(crate) async fn sites(&self) -> Result<Vec<Listed>> {
        let sites = storage::scan::<Site>(PREFIX, None, SITES_MAX as u32).await?;
        let running = self.running.borrow();
        let listed = |(key, site): (String, Site)| {
            let name = key[PREFIX.len()..].to_owned();
            let address = running.get(&name).map(|running| running.address);
            let has_folder = Folder::open(&site.folder).is_ok();
            Listed { name, address, folder: site.folder, since_s: site.since_s, has_folder }
        };
        Ok(sites.into_iter().map(listed).collect())
    }

    /// Starts a site, if it does not run yet; the service finds it by [`Webserve::take_started`].
    fn start(&self, name: &str, folder: &str) -> Result<Rc<Running>> {
        if let Some(running) = self.running.borrow().get(name) {
            return Ok(Rc::clone(running));
        }
        let site = Running::start(name, folder)?;
        self.running.borrow_mut().insert(name.to_owned(), Rc::clone(&site));
        self.started.raise();
        Ok(site)
    }

    /// A site that was started and is not served yet.
    pub(crate) fn take_started(&self) -> Option<(Rc<Running>, Incoming)> {
        self.running.borrow().values().find_map(|site| Some((Rc::clone(site), site.incoming.take()?)))
    }

    fn halt(&self, name: &str) {
        if let Some(site) = self.running.borrow_mut().remove(name) {
            site.halt.raise();
        }
    }
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The name of a site's identity in the key ring.
fn identity_name(name: &str) -> String {
    format!("site {name}")
}

/// Checks a site's name: short, of letters, digits, `-`, `_` and `.`.
fn check_name(name: &str) -> Result<()> {
    let is_fine = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || name.len() > NAME_MAX || name.starts_with('-') || !name.chars().all(is_fine) {
        let message =
            format!("a site's name has 1 to {NAME_MAX} letters, digits, '-', '_' or '.'; --name gives it one");
        return Err(Error::invalid(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_typed_and_shown() {
        for name in ["site", "my-site_2.0", "été", "x"] {
            check_name(name).unwrap();
        }
        let long = "x".repeat(81);
        for name in ["", "-x", "a b", "a/b", "a\u{1b}", "a\n", &long] {
            assert_eq!(check_name(name).unwrap_err().code(), Error::INVALID, "{name:?}");
        }
    }
}
