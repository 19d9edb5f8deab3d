//! Tables: drawn on a terminal, plain aligned lines elsewhere.

use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::escape::escape;

/// Rows of text under a header. Cells are escaped as they come in.
#[derive(Debug)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// An empty table.
    pub fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new(), right: Vec::new() }
    }

    /// Aligns these columns to the right: numbers.
    #[must_use]
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Adds a row of any text, from anybody.
    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.iter().map(|cell| escape(cell).into_owned()).collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text. With a width, it is drawn for a terminal of that many columns if it fits:
    /// ids that break over lines are hard to read and to copy.
    pub fn render(&self, width: Option<u16>) -> String {
        let plain = self.lines(false);
        let drawn = width.map(|_| self.lines(true)).filter(|text| {
            text.lines().all(|line| Some(line.chars().count()) <= width.map(usize::from))
        });
        drawn.unwrap_or(plain)
    }

    fn lines(&self, draw: bool) -> String {
        let mut table = comfy_table::Table::new();
        table.force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
        table.load_style(if draw { presets::UTF8_HORIZONTAL_ONLY } else { presets::NOTHING });
        table.style_mut().row_separator = presets::NOTHING.row_separator;
        table.set_header(self.header.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        table.add_rows(self.rows.iter().cloned());
        if !draw {
            for column in table.column_iter_mut() {
                column.set_padding((0, 2));
            }
        }
        for column in &self.right {
            if let Some(column) = table.column_mut(*column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut table = Table::new(&["SIZE", "NAME"]).right(&[0]);
        table.row(["1 KiB", "a"]);
        table.row(["20 MiB", "evil\u{1b}[2J\nname"]);
        table
    }

    #[test]
    fn plain_tables_are_aligned_lines() {
        insta::assert_snapshot!(example().render(None), @r"
           SIZE  NAME
          1 KiB  a
         20 MiB  evil\u{1b}[2J\nname
        ");
    }

    #[test]
    fn tables_are_drawn_where_they_fit_and_never_broken() {
        let drawn = example().render(Some(80));
        assert!(drawn.contains('─') && drawn.lines().count() == 6, "{drawn}");
        for width in [0, 10, 24] {
            assert_eq!(example().render(Some(width)), example().render(None));
        }
    }
}
