import HTTPTypes

/// How many may be at something at once, in all and for each token: one client's must not be everybody's.
struct Places: Sendable {
    /// The most; an intake that asks for no tokens has one kind of client, which may take them all.
    let limit: Int
    private var taken = 0
    private var byToken: [Int64: Int] = [:]

    /// The most for one token.
    var tokenLimit: Int { max(1, limit / 4) }

    init(limit: Int) { self.limit = limit }

    /// Takes a place.
    ///
    /// - Parameters:
    ///   - token: Whose; `nil` for anyone.
    ///   - what: Those who have places, for the error.
    /// - Throws: ``Problem`` when there is none.
    mutating func take(_ token: Int64?, _ what: String) throws(Problem) {
        guard taken < limit else {
            throw Problem(.serviceUnavailable, "there are too many \(what); try again later", retryAfter: 5)
        }
        if let token {
            guard byToken[token, default: 0] < tokenLimit else {
                throw Problem(
                    .serviceUnavailable,
                    "this token has \(tokenLimit) \(what) already, and may have no more; try again later",
                    retryAfter: 5
                )
            }
            byToken[token, default: 0] += 1
        }
        taken += 1
    }

    mutating func giveBack(_ token: Int64?) {
        taken -= 1
        guard let token, let count = byToken[token] else { return }
        byToken[token] = count > 1 ? count - 1 : nil
    }
}
