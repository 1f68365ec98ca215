//! Planes of a periodic lattice with a rim of their own opposite edges.

/// The extents of a lattice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    pub(crate) h: usize,
    pub(crate) w: usize,
}

impl Extents {
    pub(crate) fn sites(self) -> usize {
        self.h * self.w
    }

    /// Length of a row with its rim. Seen as one line of numbers, the nine neighbours of every site of a padded plane then lie
    /// at the same nine distances.
    pub(super) fn pitch(self) -> usize {
        self.w + 2
    }

    /// Rows with their rim.
    pub(super) fn rows(self) -> usize {
        self.h + 2
    }

    /// Calls `write(row, from)` for every row of a padded plane, `from` the row of `x` that it holds.
    pub(super) fn each_row<'a>(self, x: &'a [f32], mut write: impl FnMut(usize, &'a [f32])) {
        for row in 0..self.rows() {
            write(row, &x[(row + self.h - 1) % self.h * self.w..][..self.w]);
        }
    }

    /// Copies planes with their rims, each to the beginning of `plane` numbers.
    pub(super) fn pad(self, x: &[f32], planes: &mut [f32], plane: usize) {
        for (x, plane) in x.chunks_exact(self.sites()).zip(planes.chunks_exact_mut(plane)) {
            self.each_row(x, |row, from| {
                let to = &mut plane[row * self.pitch()..][..self.pitch()];
                to[0] = from[self.w - 1];
                to[1..=self.w].copy_from_slice(from);
                to[self.w + 1] = from[0];
            });
        }
    }
}
