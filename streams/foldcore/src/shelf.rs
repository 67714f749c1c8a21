//! The documents of one kind that a batch touches of one recipient: as they were, and as they stand.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::hash::Build;

/// Before the batch, or after it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// One document. `before` is kept from the first change on.
pub struct Slot<D> {
    before: Option<D>,
    now: Option<D>,
    changed: bool,
    /// Whether the store was asked, or need not be.
    pub loaded: bool,
}

impl<D> Default for Slot<D> {
    fn default() -> Self {
        Slot { before: None, now: None, changed: false, loaded: false }
    }
}

impl<D: Clone> Slot<D> {
    /// What the store said.
    pub fn put(&mut self, document: Option<D>) {
        self.now = document;
        self.loaded = true;
    }

    /// How it stood, or stands.
    pub fn on(&self, side: Side) -> Option<&D> {
        if self.changed && side == Side::Before {
            self.before.as_ref()
        } else {
            self.now.as_ref()
        }
    }

    /// The document to be changed; `initial` makes it where there was none.
    pub fn change(&mut self, initial: impl FnOnce() -> D) -> &mut D {
        if !self.changed {
            self.before = self.now.clone();
            self.changed = true;
        }
        self.now.get_or_insert_with(initial)
    }

    /// Whether the batch has touched it.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// What has to be written.
    pub fn changed(&self) -> Option<&D> {
        self.now.as_ref().filter(|_| self.changed)
    }
}

/// A document with its name. `touched`: what its message counts may have changed.
pub struct Named<'f, D> {
    pub name: Cow<'f, str>,
    pub slot: Slot<D>,
    pub touched: bool,
}

const FEW: usize = 8;

/// The documents of one kind. A few are looked for one by one, many by an index.
pub struct Shelf<'f, D> {
    pub all: Vec<Named<'f, D>>,
    index: HashMap<Box<str>, u32, Build>,
}

impl<'f, D> Default for Shelf<'f, D> {
    fn default() -> Self {
        Shelf { all: Vec::new(), index: HashMap::default() }
    }
}

impl<'f, D: Clone> Shelf<'f, D> {
    /// The place of a name, if it has one.
    pub fn find(&self, name: &str) -> Option<usize> {
        if self.all.len() <= FEW {
            self.all.iter().position(|known| known.name == name)
        } else {
            self.index.get(name).map(|&place| place as usize)
        }
    }

    /// The place of a name, given to it now if it has none.
    pub fn place(&mut self, name: Cow<'f, str>) -> usize {
        if let Some(place) = self.find(&name) {
            return place;
        }
        self.all.push(Named { name, slot: Slot::default(), touched: false });
        let count = self.all.len();
        match count {
            _ if count <= FEW => {}
            _ if count == FEW + 1 => {
                let named = self.all.iter().enumerate();
                self.index.extend(named.map(|(place, known)| (Box::from(&*known.name), place as u32)));
            }
            _ => drop(self.index.insert(Box::from(&*self.all[count - 1].name), count as u32 - 1)),
        }
        count - 1
    }

    /// Those that there are, as they stand, by name.
    pub fn documents(&self) -> impl Iterator<Item = (&str, &D)> {
        let mut there: Vec<(&str, &D)> = Vec::with_capacity(self.all.len());
        there.extend(self.all.iter().filter_map(|known| Some((&*known.name, known.slot.on(Side::After)?))));
        there.sort_unstable_by_key(|known| known.0);
        there.into_iter()
    }

    /// The document of this name, on one side.
    pub fn on(&self, side: Side, name: &str) -> Option<&D> {
        self.find(name).and_then(|place| self.all[place].slot.on(side))
    }
}
