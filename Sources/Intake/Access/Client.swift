/// Who asks.
struct Client: Sendable, Equatable {
    /// Somebody who needs no token.
    static let anyone = Client(token: nil)

    /// The number of the token; `nil` for somebody who needs none.
    let token: Int64?

    /// An idempotency key as it is stored: each token has its own, so that nobody meets another's.
    ///
    /// A key of SQL has no such beginning.
    func own(_ idempotencyKey: String?) -> String? {
        guard let token, let idempotencyKey else { return idempotencyKey }
        return "\u{1}\(token)\u{1}\(idempotencyKey)"
    }

    /// The key as the client knows it.
    static func shown(_ idempotencyKey: String) -> String {
        guard idempotencyKey.hasPrefix("\u{1}") else { return idempotencyKey }
        return idempotencyKey.split(separator: "\u{1}", maxSplits: 1).last.map(String.init) ?? idempotencyKey
    }
}
