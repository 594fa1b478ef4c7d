import HTTPTypes
import Hummingbird
import NIOCore

extension Request {
    /// Hands over the body piece by piece, unpacked.
    ///
    /// - Parameters:
    ///   - limit: The most bytes, unpacked.
    ///   - types: The media types that are taken, and a body without one; empty for any.
    ///   - body: Gets the pieces.
    /// - Throws: ``Problem``, or what `body` throws.
    func forEachPiece(
        upTo limit: Int,
        types: [String],
        _ body: (ByteBuffer) throws -> Void
    ) async throws {
        if !types.isEmpty, let mediaType, !types.contains(mediaType) {
            throw Problem(.unsupportedMediaType, "the body must be \(types.joined(separator: " or "))")
        }
        askForBody()
        let tooLarge = Problem(.contentTooLarge, "the body must have at most \(limit) bytes", [("", "is too large")])
        do {
            switch headers[.contentEncoding]?.lowercased() {
            case nil, "identity":
                var count = 0
                for try await piece in self.body {
                    count += piece.readableBytes
                    guard count <= limit else { throw tooLarge }
                    try body(piece)
                }
            case "gzip":
                let held = OpenConnection.current?.serving
                try held?.take(Inflater.ownBytes)
                let inflater = Inflater(limit: limit)
                for try await piece in self.body {
                    inflater.add(piece)
                    while let chunk = try inflater.next() {
                        try held?.take(chunk.readableBytes)
                        try body(chunk)
                        // A piece may become a thousand times as much, and others wait for the thread.
                        await Task.yield()
                    }
                }
                try inflater.finish()
            default:
                throw Problem(.unsupportedMediaType, "the content encoding must be gzip, or none")
            }
        } catch is NIOTooManyBytesError {
            throw tooLarge
        } catch is Inflater.Damaged {
            throw Problem(.badRequest, "the body is not gzip, as its content encoding says", [("", "must be gzip")])
        }
    }

    /// Lets a client that waits for that send the body.
    func askForBody() {
        if headers[.expect] != nil { OpenConnection.current?.askForBody() }
    }

    /// The content type without its parameters.
    var mediaType: String? {
        headers[.contentType].map { type in
            String(type.prefix { $0 != ";" }).trimmingSpaces.lowercased()
        }
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
