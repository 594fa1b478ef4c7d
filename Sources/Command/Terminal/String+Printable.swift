extension String {
    /// With control characters escaped: a client's key must not write to the operator's terminal.
    var printable: String {
        guard unicodeScalars.contains(where: \.isControl) else { return self }
        return unicodeScalars.map { $0.isControl ? $0.escaped(asASCII: true) : String($0) }.joined()
    }

    /// Its beginning, marked as such, where it is longer than so many characters.
    func shortened(to length: Int) -> String { count <= length ? self : prefix(max(0, length - 1)) + "…" }
}

extension Unicode.Scalar {
    fileprivate var isControl: Bool { value < 0x20 || (0x7f...0x9f).contains(value) }
}
