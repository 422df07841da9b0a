//! Sets of equal units of a disk: the granules of a bitmap, or the clusters of a job.

use std::ops::Range;

/// Smallest granule or cluster, in bytes.
const MIN_UNIT: i64 = 512;
/// Largest, in bytes.
const MAX_UNIT: i64 = 1 << 31;

/// `length` bytes from `offset` on. One of length 0 touches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub offset: u64,
    pub length: u64,
}

impl Extent {
    /// The extent that a request names, if it lies within `size` bytes.
    pub fn within(size: u64, offset: i64, length: i64) -> Option<Extent> {
        let extent = Extent { offset: offset.try_into().ok()?, length: length.try_into().ok()? };
        (extent.offset.checked_add(extent.length)? <= size).then_some(extent)
    }

    /// Its bytes, as indices of a disk's content.
    pub fn bytes(self) -> Range<usize> {
        self.offset as usize..(self.offset + self.length) as usize
    }
}

/// The unit that a request asks for, if it is a power of two from 512 to 2^31.
pub fn unit(bytes: i64) -> Option<u64> {
    let unit = u64::try_from(bytes).ok()?;
    ((MIN_UNIT..=MAX_UNIT).contains(&bytes) && unit.is_power_of_two()).then_some(unit)
}

/// A set of units of a disk. The last unit may go beyond the disk's end.
#[derive(Clone, Debug)]
pub struct Units {
    /// Of the disk, in bytes.
    size: u64,
    /// Of one unit, in bytes.
    unit: u64,
    /// For each unit, whether the set has it.
    has: Vec<bool>,
}

impl Units {
    /// None of the units of a disk of `size` bytes.
    pub fn none(size: u64, unit: u64) -> Units {
        Units { size, unit, has: vec![false; size.div_ceil(unit) as usize] }
    }

    /// All of them.
    pub fn all(size: u64, unit: u64) -> Units {
        Units { size, unit, has: vec![true; size.div_ceil(unit) as usize] }
    }

    /// None, of the same disk and the same unit.
    pub fn none_alike(&self) -> Units {
        Units::none(self.size, self.unit)
    }

    /// Of the disk, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Of one unit, in bytes.
    pub fn unit(&self) -> u64 {
        self.unit
    }

    pub fn is_empty(&self) -> bool {
        !self.has.contains(&true)
    }

    /// The numbers of the units that the extent touches, even in part. What is beyond the disk's end touches nothing.
    pub fn touched(&self, extent: Extent) -> Range<usize> {
        let end = (extent.offset + extent.length).min(self.size);
        if extent.length == 0 || extent.offset >= end {
            return 0..0;
        }
        (extent.offset / self.unit) as usize..end.div_ceil(self.unit) as usize
    }

    /// Those of the set that the extent touches.
    pub fn among(&self, extent: Extent) -> Vec<usize> {
        self.touched(extent).filter(|&number| self.has[number]).collect()
    }

    /// Add all units that the extent touches.
    pub fn add(&mut self, extent: Extent) {
        let touched = self.touched(extent);
        self.has[touched].fill(true);
    }

    /// Add all units that touch a unit of the other set, which may be of another size.
    pub fn add_all(&mut self, other: &Units) {
        for extent in other.extents() {
            self.add(extent);
        }
    }

    /// The numbers of the set.
    pub fn numbers(&self) -> Vec<usize> {
        (0..self.has.len()).filter(|&number| self.has[number]).collect()
    }

    pub fn add_numbers(&mut self, numbers: &[usize]) {
        for &number in numbers {
            self.has[number] = true;
        }
    }

    pub fn remove_numbers(&mut self, numbers: &[usize]) {
        for &number in numbers {
            self.has[number] = false;
        }
    }

    pub fn clear(&mut self) {
        self.has.fill(false);
    }

    /// The bytes of one unit that are on the disk.
    pub fn on_disk(&self, number: usize) -> Extent {
        let offset = number as u64 * self.unit;
        Extent { offset, length: self.unit.min(self.size - offset) }
    }

    /// The set as whole units, neighbours joined, in order.
    pub fn extents(&self) -> Vec<Extent> {
        let mut extents: Vec<Extent> = Vec::new();
        for number in self.numbers() {
            let offset = number as u64 * self.unit;
            match extents.last_mut() {
                Some(last) if last.offset + last.length == offset => last.length += self.unit,
                _ => extents.push(Extent { offset, length: self.unit }),
            }
        }
        extents
    }

    /// The same, but the last ends with the disk.
    pub fn extents_on_disk(&self) -> Vec<Extent> {
        let mut extents = self.extents();
        if let Some(last) = extents.last_mut() {
            last.length = last.length.min(self.size - last.offset);
        }
        extents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_touches_units_in_part() {
        let mut units = Units::none(10_240, 4096);
        units.add(Extent { offset: 4095, length: 2 });
        assert_eq!(units.extents(), [Extent { offset: 0, length: 8192 }]);
        units.clear();
        units.add(Extent { offset: 10_239, length: 1 });
        assert_eq!(units.extents(), [Extent { offset: 8192, length: 4096 }]);
        assert_eq!(units.on_disk(2), Extent { offset: 8192, length: 2048 });
        units.clear();
        units.add(Extent { offset: 4096, length: 0 });
        assert!(units.is_empty());
    }

    #[test]
    fn sets_of_different_units_are_united_by_bytes() {
        let mut coarse = Units::none(10_240, 4096);
        let mut fine = Units::none(10_240, 512);
        fine.add(Extent { offset: 4608, length: 1 });
        coarse.add_all(&fine);
        assert_eq!(coarse.extents(), [Extent { offset: 4096, length: 4096 }]);
        fine.add_all(&coarse);
        assert_eq!(fine.extents(), [Extent { offset: 4096, length: 4096 }]);
        let mut tail = Units::none(10_240, 512);
        tail.add_all(&Units::all(10_240, 65_536));
        assert_eq!(tail.extents(), [Extent { offset: 0, length: 10_240 }]);
    }

    #[test]
    fn a_unit_is_a_power_of_two_in_bounds() {
        for right in [512, 4096, 1 << 31] {
            assert_eq!(unit(right), Some(right as u64));
        }
        for wrong in [-512, 0, 1, 256, 513, 768, 1 << 32] {
            assert_eq!(unit(wrong), None);
        }
    }
}
