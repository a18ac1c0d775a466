//! A BPF array that lies in our memory: reads and writes cost no system call.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

/// `slots` values of `T`, shared with the programs. `T` is one of the map values of the abi crate: plain data of a size that
/// is a multiple of 8, for which any bits are a value.
pub(crate) struct Table<T> {
    start: NonNull<T>,
    slots: u32,
}

// SAFETY: the memory is shared with the kernel anyway; every access is a volatile or atomic word.
unsafe impl<T: Send> Send for Table<T> {}

impl<T: Copy> Table<T> {
    const WORDS: usize = size_of::<T>() / 8;

    pub(crate) fn map(fd: BorrowedFd<'_>, slots: u32) -> io::Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() <= 4096) };
        let length = size_of::<T>() * slots as usize;
        // SAFETY: a new mapping, of no address of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, slots })
    }

    pub(crate) fn slots(&self) -> u32 {
        self.slots
    }

    /// The 8-byte words of a slot, or `None` if there is no such slot.
    pub(crate) fn words(&self, index: u32) -> Option<&[AtomicU64]> {
        if index >= self.slots {
            return None;
        }
        // SAFETY: inside the mapping, aligned to 8 because the mapping starts at a page and sizes are multiples of 8; the
        // mapping lives as long as `self`, and both sides access it by atomic words.
        Some(unsafe {
            std::slice::from_raw_parts(self.start.as_ptr().add(index as usize).cast::<AtomicU64>(), Self::WORDS)
        })
    }

    /// A copy of a slot. Words are consistent each; the whole is if nobody writes.
    pub(crate) fn read(&self, index: u32) -> Option<T> {
        let words = self.words(index)?;
        let mut value = std::mem::MaybeUninit::<T>::uninit();
        for (i, word) in words.iter().enumerate() {
            // SAFETY: `i` is below `WORDS`; `value` is `WORDS` words long. Written unaligned, for a `T` of alignment 4.
            unsafe { value.as_mut_ptr().cast::<u64>().add(i).write_unaligned(word.load(Ordering::Relaxed)) };
        }
        // SAFETY: every word is written, and any bits are a value of `T`.
        Some(unsafe { value.assume_init() })
    }
}

/// The words of a value.
pub(crate) fn word_of<T: Copy>(value: &T, index: usize) -> u64 {
    assert!((index + 1) * 8 <= size_of::<T>(), "callers name words of the abi's records");
    // SAFETY: inside the value, and any alignment is fine.
    unsafe { std::ptr::from_ref(value).cast::<u64>().add(index).read_unaligned() }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, with its length; nothing borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), size_of::<T>() * self.slots as usize) };
    }
}
