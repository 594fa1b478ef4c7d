import Testing

@testable import Intake

struct JSONFieldsTests {
    @Test func `of fields of one name the last is taken, and none is left`() throws {
        var fields = try JSONFields.parse(Array(#"{"a":1,"b":"x","a":2,"c":null,"c":null}"#.utf8))
        #expect(fields.left == ["a", "b", "c"])
        #expect(try fields.takeInteger("a") == 2)
        #expect(try fields.takeInteger("a") == nil)
        #expect(try fields.takeString("b") == "x")
        #expect(fields.take("c") == .null)
        #expect(fields.left == [])
    }
}
