//! Dense indices: one type for each kind of thing that is numbered, so that two of them cannot be swapped.

macro_rules! dense_indices {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) struct $name(u32);

        #[allow(dead_code, reason = "not every index needs all of it")]
        impl $name {
            /// No index, where an `Option` would double the size.
            pub(super) const NONE: Self = Self(u32::MAX);

            pub(super) fn new(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }

            pub(super) fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

dense_indices! {
    /// An app: those that are planned, as listed, then other apps of running tasks.
    AppIx,
    /// An offer, as listed.
    OfferIx,
    /// A host of offers.
    HostIx,
    /// A distinct state that offers are in.
    StateIx,
    /// A distinct value of a [`Column`](super::table::Column).
    ValueIx,
    /// An equivalence class of offers.
    ClassIx,
}
