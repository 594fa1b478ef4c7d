import Foundation
import HTTPTypes
import Holdfast
import Postgres
import TestSupport
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

    @Test func `an object of more fields than any job has is refused before the rest of it is read`() throws {
        let fields = [String](repeating: #""":0,"key":0"#, count: JSONParser.fieldLimit).joined(separator: ",")
        // What follows is no JSON, which nobody gets to see.
        let problem = #expect(throws: Problem.self) { try JSONFields.parse(Array("{\(fields),no JSON".utf8)) }
        #expect(problem?.details.detail == "the body must have at most 64 fields")
        // Inside of a field there may be any number, and none of them is kept.
        let nested = [String](repeating: #""":0"#, count: 10_000).joined(separator: ",")
        var taken = try JSONFields.parse(Array(#"{"metadata":{\#(nested)}}"#.utf8))
        #expect(throws: InvalidField.self) { try taken.takeMetadata() }
    }

    @Test func `what is wrong with a job is told in little, however much is wrong`() throws {
        let long = String(repeating: "é", count: 100_000)
        let fields = (0..<60).map { #""\#($0)\#(long)":0"# }.joined(separator: ",")
        let invalid = #expect(throws: InvalidSubmission.self) {
            try NewJobReader.read(try JSONFields.parse(Array("{\(fields)}".utf8)), traceparent: nil)
        }
        let problem = Problem(
            .badRequest,
            try #require(invalid).description,
            invalid?.fields.map { ($0.name, $0.reason) } ?? []
        )
        let answer = try JSONEncoder().encode(problem.details)
        #expect(answer.count < 4000)
        let many = (0..<10_000).map { (pointer: "/\($0)\(long)", detail: long) }
        let whole = try JSONEncoder().encode(Problem(.badRequest, long).naming(many).details)
        #expect(whole.count < 2 * (Problem.fieldLimit + 1) * Problem.detailLimit + 20_000)
        #expect(long.shortened(to: 5) == "éé…" && "é".shortened(to: 2) == "é")
    }

    @Test(
        .freshDatabase,
        arguments: [
            "{}", "{ }", #"{"a":1}"#, #"{"a" : [ ] , "b":{ "c" : [1,2 ,3], "d": {}}}"#,
            #"{"a":[1e400,-1e-400,1.50,0.0,-0]}"#,
            #"{"a":[0e5,0e-5,0.0e1,-0.0,1.00e1,1.05e-7,12.34e1,12.34e3,0.00012e2,0.00012e10,100,1E+2]}"#,
            #"{"a":"\b\f\n\r\t\"\\\/\u0001\u001f\u0020\u0041\u00e9\u20ac\ud83d\ude00é€😀\u007f\u0022\u005c\u0009"}"#,
            #"{"a":[true,false,null,"true"],"\u0061b\n":0}"#, #"{"a":123456789012345678901234567890.123456789}"#,
        ]
    )
    func `metadata is measured as PostgreSQL writes it`(text: String) async throws {
        guard case .object(let object) = try JSONParser.parse(text.utf8) else {
            throw InvalidField("metadata", "is none")
        }
        let measure = Statement(name: "measure", sql: "select octet_length($1::text::jsonb::text)", isPrepared: false)
        let rows = try await FreshDatabase.current.pool.execute(measure, [.text(text)])
        #expect(try rows[0].decode(Int.self, at: 0) == object.size)
    }

    @Test func `metadata has the same bound however it is written`() throws {
        let huge = [String](repeating: "1e400", count: 41).joined(separator: ",")
        #expect(throws: JobJSON.Invalid.self) { try JobJSON.metadata(#"{"a":[\#(huge)]}"#) }
        let spaced = #"{"a":1\#(String(repeating: " ", count: 20_000))}"#
        #expect(try JobJSON.metadata(spaced) == spaced)
    }

    @Test(arguments: [ItemSplitter.Form.array, .lines])
    func `an item that is too long is refused as it comes in`(form: ItemSplitter.Form) throws {
        var splitter = ItemSplitter(form, itemLimit: 4)
        try splitter.add(Array("[1234".utf8).dropFirst(form == .array ? 0 : 1)) { _ in }
        #expect(throws: ItemSplitter.Failure.tooLong) { try splitter.add([0x35]) { _ in } }
    }
}
