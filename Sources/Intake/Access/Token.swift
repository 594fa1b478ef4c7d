import Crypto
import Foundation

/// What a client proves itself with: a number that finds it, and a secret of 256 random bits.
///
/// Only the secret's SHA-256 is stored. A slow hash protects secrets that people choose; nobody guesses this one.
package struct Token: Sendable {
    /// What a client may do.
    package enum Scope: String, Sendable, CaseIterable {
        case submit, read, operate, metrics
    }

    private static let prefix = "hft_"
    private static let secretCount = 32

    /// Its row's number.
    package let id: Int64
    private let secret: [UInt8]

    /// - Parameters:
    ///   - id: Its row's number.
    ///   - secret: 32 bytes.
    package init(id: Int64, secret: [UInt8]) {
        precondition(secret.count == Self.secretCount)
        self.id = id
        self.secret = secret
    }

    /// Reads `hft_NUMBER_SECRET`; `nil` when it is nothing of the kind.
    package init?(_ text: some StringProtocol) {
        guard text.hasPrefix(Self.prefix) else { return nil }
        let parts = text.dropFirst(Self.prefix.count).split(separator: "_", maxSplits: 1)
        guard parts.count == 2, let id = Int64(parts[0]), id > 0 else { return nil }
        // Base64 for URLs, without padding.
        let base64 = String(parts[1]).replacing("-", with: "+").replacing("_", with: "/") + "="
        guard let secret = Data(base64Encoded: base64), secret.count == Self.secretCount else { return nil }
        self.init(id: id, secret: [UInt8](secret))
    }

    /// 32 random bytes.
    package static func makeSecret() -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        return (0..<secretCount).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }

    /// What is stored of a secret.
    package static func hash(_ secret: [UInt8]) -> [UInt8] { [UInt8](SHA256.hash(data: secret)) }

    /// What its owner is told, once.
    package var text: String {
        let base64 = Data(secret).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
        return "\(Self.prefix)\(id)_\(base64.replacing("=", with: ""))"
    }

    /// Whether a stored hash is its own; takes as long whichever byte differs.
    package func matches(_ hash: [UInt8]) -> Bool {
        let own = Self.hash(secret)
        guard own.count == hash.count else { return false }
        return zip(own, hash).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
