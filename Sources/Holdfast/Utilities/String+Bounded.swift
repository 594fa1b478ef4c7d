extension String {
    /// The first 2,000 characters, without NUL: what the database keeps of an error.
    var bounded: String { String(replacing("\0", with: "").prefix(2000)) }
}
