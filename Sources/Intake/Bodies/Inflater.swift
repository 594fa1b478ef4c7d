import CZlib
import NIOCore

/// Unpacks a gzip body piece by piece, of one member or several, chunk by chunk.
///
/// NIOHTTPCompression has a handler for this, which unpacks whatever comes, before anybody has asked who sends it, and takes
/// one member only.
/// - Source: RFC 1952, section 2.2.
final class Inflater {
    /// The pieces are no gzip.
    struct Damaged: Error {}

    /// What it takes besides its input and output: a window of 32 KiB, and its tables.
    static let ownBytes = 64 << 10
    /// The most bytes that come out at a time, however many go in: the one who reads gives way to others in between.
    private static let chunkSize = 64 << 10
    private var stream: UnsafeMutablePointer<z_stream>
    private var input: [UInt8] = []
    private var taken = 0
    private let limit: Int
    private var left: Int
    private var isBetweenMembers = true
    private var hasMember = false

    /// - Parameter limit: The most bytes that may come out.
    init(limit: Int) {
        self.limit = limit
        left = limit
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 15 bits of window, and 16 for the gzip form. It only fails without memory.
        let status = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "inflateInit2")
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Takes the next piece, once ``next()`` has given all of the one before.
    func add(_ piece: ByteBuffer) {
        input = Array(piece.readableBytesView)
        taken = 0
    }

    /// The next chunk of what comes out; `nil` when another piece is needed.
    ///
    /// - Throws: ``Damaged``, or `NIOTooManyBytesError` past the limit.
    func next() throws -> ByteBuffer? {
        var output = ByteBuffer()
        while taken < input.count || stream.pointee.avail_out == 0 && !isBetweenMembers {
            if isBetweenMembers {
                guard inflateReset(stream) == Z_OK else { throw Damaged() }
                isBetweenMembers = false
            }
            try inflateSome(into: &output)
            left -= output.readableBytes
            guard left >= 0 else { throw NIOTooManyBytesError(maxBytes: limit) }
            if output.readableBytes > 0 { return output }
        }
        return nil
    }

    private func inflateSome(into output: inout ByteBuffer) throws {
        let start = taken
        try input.withUnsafeMutableBufferPointer { bytes in
            stream.pointee.next_in = bytes.baseAddress.map { $0 + start }
            stream.pointee.avail_in = UInt32(bytes.count - start)
            try output.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.chunkSize) { room in
                stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.pointee.avail_out = UInt32(room.count)
                let status = inflate(stream, Z_NO_FLUSH)
                guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else { throw Damaged() }
                if status == Z_STREAM_END {
                    isBetweenMembers = true
                    hasMember = true
                }
                return room.count - Int(stream.pointee.avail_out)
            }
            taken = bytes.count - Int(stream.pointee.avail_in)
        }
    }

    /// Checks that nothing is missing.
    func finish() throws { guard hasMember, isBetweenMembers else { throw Damaged() } }
}
