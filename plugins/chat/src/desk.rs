//! Where the service and the commands meet: one book, changed by one at a time, and those who listen for what is new.

use crate::book::{Book, Recorded};
use crate::feed::{Feed, Heard};
use crate::model::Entry;
use crate::store::Store;
use mute_plugin::futures::FutureExt as _;
use mute_plugin::futures::lock::Mutex;
use mute_plugin::{Address, Result};
use std::rc::Rc;

/// The plugin's state.
#[derive(Default)]
pub(crate) struct Desk<S> {
    /// The messages themselves are read from here without the lock: they never change, they only go.
    pub(crate) store: S,
    /// What comes in.
    pub(crate) feed: Feed,
    /// None until it is read from the store.
    book: Mutex<Option<Book>>,
}

impl<S: Store> Desk<S> {
    /// One on that store.
    #[cfg(test)]
    pub(crate) fn with(store: S) -> Self {
        Self { store, feed: Feed::default(), book: Mutex::new(None) }
    }

    /// Looks something up.
    pub(crate) async fn look<T>(&self, look: impl FnOnce(&Book) -> T) -> Result<T> {
        let mut place = self.book.lock().await;
        let book = match place.take() {
            Some(book) => book,
            None => Book::load(&self.store).await?,
        };
        Ok(look(place.insert(book)))
    }

    /// Changes something. The change goes on to its end even if the caller gives up waiting, so that memory and store
    /// never part.
    pub(crate) async fn change<T: Clone + 'static>(
        self: &Rc<Self>,
        change: impl AsyncFnOnce(&mut Book, &S) -> Result<T> + 'static,
    ) -> Result<T> {
        let desk = Rc::clone(self);
        let work = async move {
            let mut place = desk.book.lock().await;
            let mut book = match place.take() {
                Some(book) => book,
                None => Book::load(&desk.store).await?,
            };
            let result = change(&mut book, &desk.store).await;
            if result.is_ok() {
                *place = Some(book);
            }
            // After an error nobody knows what reached the store: it is read anew.
            result
        };
        let work = work.boxed_local().shared();
        self.store.see_through(work.clone().map(drop).boxed_local());
        work.await
    }

    /// Stores a message, and tells those who listen if it is new.
    pub(crate) async fn record(self: &Rc<Self>, peer: Address, entry: Entry) -> Result<Recorded> {
        let desk = Rc::clone(self);
        self.change(async move |book, store| {
            let heard = (!entry.mine).then(|| entry.clone());
            let recorded = book.record(store, peer, entry).await?;
            if let (Some(entry), Recorded::New(_)) = (heard, recorded) {
                let name = book.name_of(peer).map(str::to_owned);
                desk.feed.tell(Heard { peer, name, entry });
            }
            Ok(recorded)
        })
        .await
    }
}
