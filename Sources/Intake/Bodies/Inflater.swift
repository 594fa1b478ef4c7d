import CZlib
import NIOCore

/// Unpacks a gzip body piece by piece.
final class Inflater {
    /// The pieces are no gzip.
    struct Damaged: Error {}

    private static let chunkSize = 64 << 10
    private var stream: UnsafeMutablePointer<z_stream>
    private let limit: Int
    private var left: Int
    private var isFinished = false

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

    /// Unpacks the next piece.
    ///
    /// - Throws: ``Damaged``, or `NIOTooManyBytesError` past the limit.
    func unpack(_ piece: ByteBuffer) throws -> ByteBuffer {
        var output = ByteBuffer()
        var input = Array(piece.readableBytesView)
        try input.withUnsafeMutableBufferPointer { bytes in
            stream.pointee.next_in = bytes.baseAddress
            stream.pointee.avail_in = UInt32(bytes.count)
            while stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0 {
                guard !isFinished else { throw Damaged() }
                let written = try output.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.chunkSize) { room in
                    stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    stream.pointee.avail_out = UInt32(room.count)
                    let status = inflate(stream, Z_NO_FLUSH)
                    guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else { throw Damaged() }
                    isFinished = status == Z_STREAM_END
                    return room.count - Int(stream.pointee.avail_out)
                }
                left -= written
                guard left >= 0 else { throw NIOTooManyBytesError(maxBytes: limit) }
                if isFinished, stream.pointee.avail_in == 0 { break }
                if written == 0 { break }
            }
        }
        return output
    }

    /// Checks that nothing is missing.
    func finish() throws { guard isFinished else { throw Damaged() } }
}
