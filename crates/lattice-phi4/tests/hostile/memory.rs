//! The memory that a thread asks for, counted by the allocator itself.
#![allow(
    unsafe_code,
    reason = "an allocator cannot be wrapped without; it only passes on what it is asked for"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // What another thread has asked for may be returned here.
        NOW.set(NOW.get().saturating_sub(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        NOW.set(NOW.get().saturating_sub(layout.size()));
        add(size);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(place, layout, size) }
    }
}

fn add(size: usize) {
    NOW.set(NOW.get().saturating_add(size));
    PEAK.set(PEAK.get().max(NOW.get()));
}

/// What `work` gives, and the most memory that this thread had meanwhile, beyond what it had before. Memory that grows counts
/// once: large blocks are moved by their page tables, not copied.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.get();
    PEAK.set(before);
    let done = work();
    (done, PEAK.get() - before)
}
