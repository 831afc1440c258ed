//! Rewrites the sources of a crate so that every mutant that `cargo mutants --list --json` names is in one build, each
//! behind `crate::mutant(N)`.
//!
//! ```text
//! carillon-mutants LIST.json ROOT LEFT_OUT.json > PLACES.json
//! ```
//!
//! `ROOT` is a copy of the workspace, rewritten in place. `LEFT_OUT.json` is an array of numbers of mutants that do not
//! compile. The output tells, for each mutant put in, the file and the bytes that it takes there, so that an error of the
//! compiler can be laid at its door.
//!
//! A mutated expression becomes `(if crate::mutant(N) { mutated } else { original })`: the mutated text holds no other
//! mutant, since only one is ever switched on; the original holds those within it.

use proc_macro2::{LineColumn, Span};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// A mutant of the list.
struct Mutant {
    number: usize,
    genre: String,
    replacement: String,
    start: LineColumn,
    end: LineColumn,
}

/// Text to put in at a byte of the source.
struct Insertion {
    at: usize,
    /// Of two at one byte: what ends comes before what begins; of two that begin, the wider one; of two that end, the
    /// narrower one.
    rank: (u8, i64),
    text: String,
    number: Option<usize>,
}

struct Rewriter<'a> {
    source: &'a str,
    lines: Vec<usize>,
    mutants: BTreeMap<(usize, usize), Vec<&'a Mutant>>,
    insertions: Vec<Insertion>,
    /// Where the `match` of a deleted arm stands, for errors that name it alone.
    matches: Vec<(usize, Range<usize>)>,
    done: Vec<usize>,
}

impl<'a> Rewriter<'a> {
    fn byte(&self, place: LineColumn) -> usize {
        let line = &self.source[self.lines[place.line - 1]..];
        let within: usize = line.chars().take(place.column).map(char::len_utf8).sum();
        self.lines[place.line - 1] + within
    }

    fn range(&self, span: Span) -> Range<usize> {
        self.byte(span.start())..self.byte(span.end())
    }

    fn raw(&self, span: Span) -> &'a str {
        &self.source[self.range(span)]
    }

    /// The mutants of a genre that begin where this span begins.
    fn at(&self, span: Span, genre: &str) -> Vec<&'a Mutant> {
        let start = span.start();
        let found = self.mutants.get(&(start.line, start.column));
        found
            .into_iter()
            .flatten()
            .copied()
            .filter(|mutant| mutant.genre == genre)
            .collect()
    }

    fn begin(&mut self, around: &Range<usize>, text: String, number: Option<usize>) {
        let rank = (1, -(around.len() as i64));
        self.insertions.push(Insertion {
            at: around.start,
            rank,
            text,
            number,
        });
    }

    fn end(&mut self, around: &Range<usize>, text: &str) {
        let rank = (0, around.len() as i64);
        self.insertions.push(Insertion {
            at: around.end,
            rank,
            text: text.to_owned(),
            number: None,
        });
    }

    /// Puts `mutated` beside the original.
    fn choose(&mut self, whole: Span, mutated: Vec<(usize, String)>, open: &str, close: &str) {
        if mutated.is_empty() {
            return;
        }
        let around = self.range(whole);
        for (place, (number, text)) in mutated.into_iter().enumerate() {
            let lead = if place == 0 { open } else { "" };
            self.begin(
                &around,
                format!("{lead}if crate::mutant({number}) {{ {text} }} else "),
                Some(number),
            );
            self.done.push(number);
        }
        self.begin(&around, "{ ".to_owned(), None);
        self.end(&around, &format!(" }}{close}"));
    }
}

impl<'a> Visit<'_> for Rewriter<'a> {
    fn visit_expr_binary(&mut self, node: &syn::ExprBinary) {
        let mutants = self.at(node.op.span(), "BinaryOperator");
        let (left, right) = (self.raw(node.left.span()), self.raw(node.right.span()));
        let assigns = self.raw(node.op.span()).ends_with('=')
            && !matches!(
                node.op,
                syn::BinOp::Eq(_) | syn::BinOp::Ne(_) | syn::BinOp::Le(_) | syn::BinOp::Ge(_)
            );
        let mutated = mutants
            .iter()
            .map(|mutant| {
                let text = if assigns {
                    format!("{left} {} {right}", mutant.replacement)
                } else {
                    format!("({left}) {} ({right})", mutant.replacement)
                };
                (mutant.number, text)
            })
            .collect();
        self.choose(node.span(), mutated, "(", ")");
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &syn::ExprUnary) {
        let operand = self.raw(node.expr.span());
        let mutants = self.at(node.op.span(), "UnaryOperator");
        let mutated = mutants
            .iter()
            .map(|mutant| (mutant.number, operand.to_owned()))
            .collect();
        self.choose(node.span(), mutated, "(", ")");
        visit::visit_expr_unary(self, node);
    }

    fn visit_block(&mut self, node: &syn::Block) {
        if let Some(first) = node.stmts.first() {
            let span = first.span();
            let around = self.range(node.span());
            for mutant in self.at(span, "FnValue") {
                let last = node.stmts.last().expect("there is a first one").span();
                if mutant.end != last.end() {
                    continue;
                }
                let at = self.byte(span.start());
                self.insertions.push(Insertion {
                    at,
                    rank: (1, i64::MIN + around.len() as i64),
                    text: format!(
                        "if crate::mutant({}) {{ return {}; }} ",
                        mutant.number, mutant.replacement
                    ),
                    number: Some(mutant.number),
                });
                self.done.push(mutant.number);
            }
        }
        visit::visit_block(self, node);
    }

    fn visit_expr_match(&mut self, node: &syn::ExprMatch) {
        for arm in &node.arms {
            if let Some((_, guard)) = &arm.guard {
                let mutated = self
                    .at(guard.span(), "MatchArmGuard")
                    .iter()
                    .map(|mutant| (mutant.number, mutant.replacement.clone()))
                    .collect();
                self.choose(guard.span(), mutated, "(", ")");
            }
            for mutant in self.at(arm.span(), "MatchArm") {
                let number = mutant.number;
                match &arm.guard {
                    Some((_, guard)) => {
                        let around = self.range(guard.span());
                        self.begin(
                            &around,
                            format!("!crate::mutant({number}) && ("),
                            Some(number),
                        );
                        self.end(&around, ")");
                    }
                    None => {
                        let end = self.range(arm.pat.span()).end;
                        self.begin(
                            &(end..end),
                            format!(" if !crate::mutant({number}) "),
                            Some(number),
                        );
                    }
                }
                let whole = self.range(node.span());
                self.matches.push((number, whole));
                self.done.push(number);
            }
        }
        visit::visit_expr_match(self, node);
    }

    fn visit_expr_struct(&mut self, node: &syn::ExprStruct) {
        if let Some(base) = &node.rest {
            let (path, base) = (self.raw(node.path.span()), self.raw(base.span()));
            for field in &node.fields {
                let name = self.raw(field.member.span());
                // `field` alone stands for `field: field`.
                let open = match field.colon_token {
                    Some(_) => "(".to_owned(),
                    None => format!("{name}: ("),
                };
                let mutated = self
                    .at(field.span(), "StructField")
                    .iter()
                    .map(|mutant| {
                        let text = format!("let base: {path} = {base}; base.{name}");
                        (mutant.number, text)
                    })
                    .collect();
                self.choose(field.expr.span(), mutated, &open, ")");
            }
        }
        visit::visit_expr_struct(self, node);
    }
}

fn place(value: &Value) -> LineColumn {
    let of = |name: &str| value[name].as_u64().expect("a number") as usize;
    LineColumn {
        line: of("line"),
        column: of("column") - 1,
    }
}

const SWITCH: &str = r#"
/// Whether this mutant is switched on. With `MUTANT_TRACE`, which were asked about.
#[doc(hidden)]
pub fn mutant(number: u32) -> bool {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    static ACTIVE: OnceLock<(u32, Option<String>)> = OnceLock::new();
    static ASKED: [AtomicBool; 10_000] = [const { AtomicBool::new(false) }; 10_000];
    let (active, trace) = ACTIVE.get_or_init(|| {
        let active = std::env::var("MUTANT").ok().and_then(|text| text.parse().ok());
        (active.unwrap_or(u32::MAX), std::env::var("MUTANT_TRACE").ok())
    });
    if let Some(path) = trace {
        if !ASKED[number as usize].swap(true, Ordering::Relaxed) {
            use std::io::Write as _;
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            let _ = file.and_then(|mut file| file.write_all(format!("{number}\n").as_bytes()));
        }
    }
    *active == number
}
"#;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, list, root, left_out] = &arguments[..] else {
        eprintln!("usage: carillon-mutants LIST.json ROOT LEFT_OUT.json > PLACES.json");
        std::process::exit(2);
    };
    let read = |path: &str| -> Value {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let left_out: Vec<u64> = read(left_out)
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect();
    let mut files: BTreeMap<String, Vec<Mutant>> = BTreeMap::new();
    for (number, value) in read(list).as_array().into_iter().flatten().enumerate() {
        let text = |name: &str| value[name].as_str().expect("a text").to_owned();
        let file = files.entry(text("file")).or_default();
        // A function that promises `impl Trait` has one type alone to return: no second one can stand beside it.
        let opaque = value["genre"] == "FnValue"
            && value["function"]["return_type"]
                .as_str()
                .is_some_and(|text| text.contains("impl "));
        if !opaque && !left_out.contains(&(number as u64)) {
            file.push(Mutant {
                number,
                genre: text("genre"),
                replacement: text("replacement"),
                start: place(&value["span"]["start"]),
                end: place(&value["span"]["end"]),
            });
        }
    }
    let (mut places, mut done) = (Vec::new(), Vec::new());
    for (file, mutants) in &files {
        let path = format!("{root}/{file}");
        let source =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let tree = syn::parse_file(&source).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut by_start: BTreeMap<(usize, usize), Vec<&Mutant>> = BTreeMap::new();
        for mutant in mutants {
            let start = (mutant.start.line, mutant.start.column);
            by_start.entry(start).or_default().push(mutant);
        }
        let lines = std::iter::once(0)
            .chain(source.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let mut rewriter = Rewriter {
            source: &source,
            lines,
            mutants: by_start,
            insertions: Vec::new(),
            matches: Vec::new(),
            done: Vec::new(),
        };
        rewriter.visit_file(&tree);
        let mut insertions = rewriter.insertions;
        insertions.sort_by_key(|insertion| (insertion.at, insertion.rank));
        let (mut out, mut from) = (String::new(), 0);
        // How far each byte of the source has moved.
        let mut moved = Vec::new();
        for insertion in &insertions {
            out.push_str(&source[from..insertion.at]);
            from = insertion.at;
            if let Some(number) = insertion.number {
                let range = json!([number, file, out.len(), out.len() + insertion.text.len()]);
                places.push(range);
            }
            out.push_str(&insertion.text);
            moved.push((insertion.at, out.len() - insertion.at));
        }
        out.push_str(&source[from..]);
        let now = |byte: usize| {
            let before = moved.partition_point(|(at, _)| *at < byte);
            byte + before.checked_sub(1).map_or(0, |last| moved[last].1)
        };
        for (number, range) in rewriter.matches {
            places.push(json!([
                number,
                file,
                now(range.start),
                now(range.end),
                "match"
            ]));
        }
        done.extend(rewriter.done);
        if !mutants.is_empty() {
            std::fs::write(&path, out).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
    }
    let first = files.keys().next().expect("there are mutants");
    let library = format!(
        "{root}/{}/src/lib.rs",
        first.split("/src/").next().expect("a crate")
    );
    let text =
        std::fs::read_to_string(&library).unwrap_or_else(|error| panic!("{library}: {error}"));
    std::fs::write(&library, text + SWITCH).unwrap_or_else(|error| panic!("{library}: {error}"));
    println!("{}", json!({"places": places, "done": done}));
}
