//! Converts the URIs of a task into items of the fetcher.

use crate::machine::FetchUri;
use apportion_exec::fetch::Item;

/// Returns the item for a URI.
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
