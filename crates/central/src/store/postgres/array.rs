//! Many rows as parameters: an array for each column.

/// What `value` makes of each of these.
pub(super) fn column<'a, T, V>(rows: &'a [T], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}
