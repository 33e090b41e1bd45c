//! What is to be fetched, as the fetcher wants it.

use crate::machine::FetchUri;
use apportion_exec::fetch::Item;

/// Returns what the fetcher has to do.
pub(crate) fn item(uri: &FetchUri) -> Item {
    let mut item = Item::new(uri.value.as_str());
    if let Some(name) = &uri.output_file {
        item = item.output_file(name.as_str());
    }
    if uri.executable {
        item = item.executable();
    }
    if uri.extract { item } else { item.packed() }
}
