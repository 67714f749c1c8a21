package sendledger.bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;

/** What the fold needs of one event; fields that the event does not have are null or 0. */
final class Fact {
    private static final JsonFactory JSON = new JsonFactory();

    String id;
    String type;
    String messageId;
    String campaignId;
    String trackingId;
    String claim;
    String reason;
    String providerTime;
    String receivedAt;
    int attempt;

    /** Reads an event in CloudEvents' structured JSON: one pass, no tree, nothing made of what is not needed. */
    static Fact read(byte[] value) throws IOException {
        Fact fact = new Fact();
        try (JsonParser json = JSON.createParser(value)) {
            if (json.nextToken() != JsonToken.START_OBJECT) {
                throw new IOException("not a JSON object");
            }
            for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
                switch (name) {
                    case "id" -> fact.id = json.nextTextValue();
                    case "type" -> fact.type = json.nextTextValue();
                    case "data" -> fact.readData(json);
                    default -> skip(json);
                }
            }
        }
        return fact;
    }

    private void readData(JsonParser json) throws IOException {
        json.nextToken();
        for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
            switch (name) {
                case "message_id" -> messageId = json.nextTextValue();
                case "campaign_id" -> campaignId = json.nextTextValue();
                case "tracking_id" -> trackingId = json.nextTextValue();
                case "claim" -> claim = json.nextTextValue();
                case "reason" -> reason = json.nextTextValue();
                case "provider_time" -> providerTime = json.nextTextValue();
                case "received_at" -> receivedAt = json.nextTextValue();
                case "attempt" -> attempt = json.nextIntValue(0);
                default -> skip(json);
            }
        }
    }

    private static void skip(JsonParser json) throws IOException {
        json.nextToken();
        json.skipChildren();
    }
}
