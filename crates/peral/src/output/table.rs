//! Tables: drawn on a terminal, plain aligned lines elsewhere.

use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::escape::shown;

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

    /// Adds a row; any text, of anybody.
    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.iter().map(|cell| shown(cell).into_owned()).collect());
    }

    /// No row yet?
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, each line ended. With a width it is drawn for a terminal of so many columns.
    pub fn render(&self, width: Option<u16>) -> String {
        let mut table = comfy_table::Table::new();
        table.force_no_tty().set_header(self.header.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        match width {
            Some(width) => table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_width(width).set_content_arrangement(ContentArrangement::Dynamic),
            None => table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled),
        };
        table.style_mut().row_separator = comfy_table::presets::NOTHING.row_separator;
        table.add_rows(self.rows.iter().cloned());
        if width.is_none() {
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
    fn drawn_tables_fit_the_terminal() {
        let text = example().render(Some(24));
        assert!(text.lines().all(|line| line.chars().count() <= 24), "{text}");
        assert!(text.contains('─'), "{text}");
    }
}
