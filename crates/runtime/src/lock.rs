//! Locks that a panic elsewhere does not close.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, also after a panic of another holder. Good for values that are whole between two
/// statements, which is all that Peral keeps behind a lock.
pub trait Lock<T: ?Sized> {
    /// The value, once nobody else has it.
    fn locked(&self) -> MutexGuard<'_, T>;

    /// The value of a lock that nobody else has any more.
    fn into_value(self) -> T
    where
        T: Sized;
}

impl<T: ?Sized> Lock<T> for Mutex<T> {
    fn locked(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_value(self) -> T
    where
        T: Sized,
    {
        self.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_panic_of_another_holder_does_not_close_the_lock() {
        let value = Arc::new(Mutex::new(1));
        let other = Arc::clone(&value);
        let holder = std::thread::spawn(move || {
            *other.locked() = 2;
            let _held = other.locked();
            panic!("with the lock held");
        });
        assert!(holder.join().is_err());
        assert!(value.is_poisoned());
        assert_eq!(*value.locked(), 2);
        assert_eq!(Arc::into_inner(value).map(Mutex::into_value), Some(2));
    }
}
