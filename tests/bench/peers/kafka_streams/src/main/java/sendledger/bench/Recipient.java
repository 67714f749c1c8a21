package sendledger.bench;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** All facts about one recipient, as one document: its messages, and what came under each TRACKINGID. */
final class Recipient {
    static final List<String> BUCKETS = List.of(
            "queued", "attempting", "in_doubt", "cancelled", "expired", "suppressed",
            "rejected", "accepted", "sent", "delivered", "undelivered");
    private static final int IN_DOUBT = 2, REJECTED = 6, ACCEPTED = 7, SENT = 8, DELIVERED = 9, UNDELIVERED = 10;

    static final class Message {
        String id;
        String campaign;
        boolean requested;
        boolean rejected;
        String withheld = "";
        String trackingId = "";
        int started;  // attempts, one bit each
        int answered;
        int silent;
    }

    static final class Tracking {
        String id;
        byte settled;  // the bucket of the final claim that is first by the provider's time; 0 = none came
        String settledBy = "";  // its time and event id
    }

    final List<Message> messages = new ArrayList<>(2);
    final List<Tracking> trackings = new ArrayList<>(2);

    /** Applies one event. Returns the message whose bucket it may have changed; null: none that is known. */
    Message apply(Fact fact) {
        if (fact.type.equals("sendledger.postback-received.v1")) {
            return postback(fact);
        }
        Message message = message(fact);
        int bit = 1 << fact.attempt;
        switch (fact.type) {
            case "sendledger.send-requested.v1" -> message.requested = true;
            case "sendledger.attempt-started.v1" -> message.started |= bit;
            case "sendledger.send-withheld.v1" -> message.withheld = fact.reason;
            case "sendledger.send-throttled.v1", "sendledger.send-not-sent.v1" -> message.answered |= bit;
            case "sendledger.send-unanswered.v1" -> message.silent |= bit;
            case "sendledger.send-rejected.v1" -> {
                message.answered |= bit;
                message.rejected = true;
            }
            case "sendledger.send-accepted.v1" -> {
                message.answered |= bit;
                message.trackingId = fact.trackingId;
            }
            default -> throw new IllegalArgumentException(fact.type);
        }
        return message;
    }

    private Message message(Fact fact) {
        for (Message known : messages) {
            if (known.id.equals(fact.messageId)) {
                return known;
            }
        }
        Message made = new Message();
        made.id = fact.messageId;
        made.campaign = fact.campaignId;
        messages.add(made);
        return made;
    }

    private Message postback(Fact fact) {
        if (fact.claim == null) {
            return null;
        }
        String name = fact.trackingId == null ? "" : fact.trackingId;
        Tracking tracking = tracking(name);
        if (tracking == null) {
            tracking = new Tracking();
            tracking.id = name;
            trackings.add(tracking);
        }
        byte claimed = switch (fact.claim) {
            case "delivered" -> DELIVERED;
            case "undelivered", "submit_failed" -> UNDELIVERED;
            default -> 0;
        };
        String by = (fact.providerTime == null ? fact.receivedAt : fact.providerTime) + fact.id;
        if (claimed != 0 && (tracking.settled == 0 || by.compareTo(tracking.settledBy) < 0)) {
            tracking.settled = claimed;
            tracking.settledBy = by;
        }
        for (Message message : messages) {
            if (!name.isEmpty() && message.trackingId.equals(name)) {
                return message;
            }
        }
        return null;
    }

    private Tracking tracking(String name) {
        for (Tracking known : trackings) {
            if (known.id.equals(name)) {
                return known;
            }
        }
        return null;
    }

    /** The message that an event is about before it is applied; null: not known yet. */
    Message about(Fact fact) {
        for (Message message : messages) {
            if (fact.messageId == null
                    ? message.trackingId.equals(fact.trackingId) && !message.trackingId.isEmpty()
                    : message.id.equals(fact.messageId)) {
                return message;
            }
        }
        return null;
    }

    /** The bucket's number; -1 for a message without its request. */
    int bucket(Message message) {
        if (message == null || !message.requested) {
            return -1;
        }
        if (!message.trackingId.isEmpty()) {
            Tracking tracking = tracking(message.trackingId);
            return tracking == null ? ACCEPTED : tracking.settled == 0 ? SENT : tracking.settled;
        }
        if (message.rejected) {
            return REJECTED;
        }
        if ((message.silent & ~message.answered) != 0) {
            return IN_DOUBT;
        }
        if ((message.started & ~message.answered) != 0) {
            return 1;
        }
        return message.withheld.isEmpty() ? 0 : BUCKETS.indexOf(message.withheld);
    }

    static Recipient decode(byte[] stored) {
        Recipient recipient = new Recipient();
        if (stored == null) {
            return recipient;
        }
        ByteBuffer in = ByteBuffer.wrap(stored);
        for (int count = in.getShort(); count > 0; count--) {
            Message message = new Message();
            message.id = text(in);
            message.campaign = text(in);
            byte flags = in.get();
            message.requested = (flags & 1) != 0;
            message.rejected = (flags & 2) != 0;
            message.withheld = text(in);
            message.trackingId = text(in);
            message.started = in.getInt();
            message.answered = in.getInt();
            message.silent = in.getInt();
            recipient.messages.add(message);
        }
        for (int count = in.getShort(); count > 0; count--) {
            Tracking tracking = new Tracking();
            tracking.id = text(in);
            tracking.settled = in.get();
            tracking.settledBy = text(in);
            recipient.trackings.add(tracking);
        }
        return recipient;
    }

    byte[] encode() {
        int size = 4;
        for (Message message : messages) {
            size += 21 + message.id.length() + bytesAtMost(message.campaign) + message.withheld.length()
                    + message.trackingId.length();
        }
        for (Tracking tracking : trackings) {
            size += 5 + bytesAtMost(tracking.id) + tracking.settledBy.length();
        }
        ByteBuffer out = ByteBuffer.allocate(size);
        out.putShort((short) messages.size());
        for (Message message : messages) {
            put(out, message.id);
            put(out, message.campaign);
            out.put((byte) ((message.requested ? 1 : 0) | (message.rejected ? 2 : 0)));
            put(out, message.withheld);
            put(out, message.trackingId);
            out.putInt(message.started).putInt(message.answered).putInt(message.silent);
        }
        out.putShort((short) trackings.size());
        for (Tracking tracking : trackings) {
            put(out, tracking.id);
            out.put(tracking.settled);
            put(out, tracking.settledBy);
        }
        return out.position() == size ? out.array() : java.util.Arrays.copyOf(out.array(), out.position());
    }

    private static int bytesAtMost(String text) {
        return 3 * text.length();
    }

    private static String text(ByteBuffer in) {
        int length = in.getShort();
        String text = new String(in.array(), in.position(), length, StandardCharsets.UTF_8);
        in.position(in.position() + length);
        return text;
    }

    private static void put(ByteBuffer out, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        out.putShort((short) bytes.length).put(bytes);
    }
}
