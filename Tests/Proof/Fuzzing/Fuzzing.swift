// Compiled by `fuzz`, with one parser and its properties.

/// Reads some bytes, and ends the program when they are read wrongly.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    #if REPLY
        let failure = ReplyProperties.failure(of: input)
    #elseif JSON
        let failure = JSONProperties.failure(of: input)
    #else
        let failure = TimestampProperties.failure(of: input)
    #endif
    if let failure { fatalError(failure) }
    return 0
}
