//! The attribute `#[halfopen_lab::test]`. It takes a function's tokens apart by itself:
//! what it needs to know of them is little, and a parser for all of Rust would take
//! longer to build than the whole of halfopen-lab.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// A test in a sandbox, like `#[test]` in a file with `sandboxed!()`, or in a guest in
/// virtual time. Documented in halfopen-lab.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = Options::parse(options)
        .and_then(|options| Ok((options, Function::parse(item)?)))
        .and_then(|(options, function)| expand(&options, function));
    expanded.unwrap_or_else(|why| tokens(&format!("::core::compile_error!({why:?});")))
}

/// Both are string literals, with their quotes.
#[derive(Default)]
struct Options {
    time: Option<String>,
    kernel: Option<String>,
}

impl Options {
    fn parse(options: TokenStream) -> Result<Self, String> {
        const USAGE: &str = "write #[halfopen_lab::test(time = \"virtual\", kernel = \"6.12\")]";
        let mut parsed = Options::default();
        let mut rest = options.into_iter();
        while let Some(name) = rest.next() {
            let (equals, value) = (rest.next(), rest.next());
            let is_equals = equals.is_some_and(|token| token.to_string() == "=");
            let value = value.map(|token| token.to_string());
            let value = value.filter(|text| is_equals && text.starts_with('"'));
            let value = value.ok_or_else(|| USAGE.to_owned())?;
            match name.to_string().as_str() {
                "time" if ["\"virtual\"", "\"real\""].contains(&value.as_str()) => {
                    parsed.time = Some(value);
                }
                "time" => return Err(format!("time = {value}: write \"virtual\", or \"real\"")),
                "kernel" => parsed.kernel = Some(value),
                other => return Err(format!("`{other}`: {USAGE}")),
            }
            if rest.next().is_some_and(|token| token.to_string() != ",") {
                return Err(USAGE.to_owned());
            }
        }
        if parsed.kernel.is_some() && parsed.time.as_deref() == Some("\"real\"") {
            return Err("a kernel of its own takes time = \"virtual\"".to_owned());
        }
        Ok(parsed)
    }

    fn in_guest(&self) -> bool {
        self.kernel.is_some() || self.time.as_deref() == Some("\"virtual\"")
    }
}

/// A function without arguments.
struct Function {
    attributes: Vec<TokenTree>,
    is_async: bool,
    name: String,
    /// `fn name() -> Result`, with its spans.
    head: Vec<TokenTree>,
    /// What is between the arguments and the body.
    returns: Vec<TokenTree>,
    body: TokenTree,
}

impl Function {
    fn parse(item: TokenStream) -> Result<Self, String> {
        let refused = || "this attribute is for a function without arguments".to_owned();
        let mut rest: Vec<TokenTree> = item.into_iter().collect();
        let body = rest.pop().ok_or_else(refused)?;
        if !is_group(&body, Delimiter::Brace) {
            return Err(refused());
        }
        let word = |token: &TokenTree, word: &str| token.to_string() == word;
        let start = rest
            .iter()
            .position(|token| word(token, "fn"))
            .ok_or_else(refused)?;
        let head = rest.split_off(start);
        let is_async = rest.last().is_some_and(|token| word(token, "async"));
        if is_async {
            rest.pop();
        }
        if rest.last().is_some_and(|token| word(token, "unsafe")) {
            return Err(refused());
        }
        let name = head.get(1).ok_or_else(refused)?.to_string();
        let arguments = head.get(2).ok_or_else(refused)?;
        let is_empty = |token: &TokenTree| match token {
            TokenTree::Group(group) => group.stream().is_empty(),
            _ => false,
        };
        if !is_group(arguments, Delimiter::Parenthesis) || !is_empty(arguments) {
            return Err(refused());
        }
        Ok(Function {
            attributes: rest,
            is_async,
            name,
            returns: head[3..].to_vec(),
            head,
            body,
        })
    }
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

/// ```text
/// sandboxed!();
/// ATTRIBUTES #[test] fn name() -> R {
///     [async] fn name() -> R BODY
///     attribute::run(WHERE, TIME, KERNEL, || name())
/// }
/// ```
fn expand(options: &Options, function: Function) -> Result<TokenStream, String> {
    let attributes: TokenStream = function.attributes.into_iter().collect();
    if options.in_guest() && attributes.to_string().contains("should_panic") {
        return Err("a test in a guest cannot be should_panic: its panic stays there".to_owned());
    }
    let name = &function.name;
    let call = match function.is_async {
        true => format!("::halfopen_lab::attribute::block_on({name}())"),
        false => format!("{name}()"),
    };
    let kernel = options.kernel.as_ref();
    let kernel = kernel.map_or("None".to_owned(), |kernel| format!("Some({kernel})"));
    let run = format!(
        "::halfopen_lab::attribute::run(concat!(module_path!(), \"::\", stringify!({name})), \
         {}, ::core::option::Option::{kernel}, || {call})",
        options.in_guest()
    );
    let mut inner = TokenStream::new();
    if function.is_async {
        inner.extend(tokens("async"));
    }
    inner.extend(function.head);
    inner.extend([function.body]);
    inner.extend(tokens(&run));

    let mut expanded = tokens("::halfopen_lab::sandboxed!();");
    expanded.extend(attributes);
    expanded.extend(tokens(&format!("#[::core::prelude::v1::test] fn {name}()")));
    expanded.extend(function.returns);
    expanded.extend([TokenTree::Group(Group::new(Delimiter::Brace, inner))]);
    Ok(expanded)
}

fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap_or_default()
}
