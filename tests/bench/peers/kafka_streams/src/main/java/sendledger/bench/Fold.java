package sendledger.bench;

import java.io.IOException;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Folds one partition: a recipient's document is read and written with each event, a campaign's counts change by the
 * difference of the message's bucket, and what changed is written to the output topic once a second.
 */
final class Fold implements Processor<String, byte[], String, byte[]> {
    static final String RECIPIENTS = "recipients";
    static final String COUNTS = "counts";

    private final Progress progress;
    private final Set<String> changed = new HashSet<>();
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, byte[]> recipients;
    private KeyValueStore<String, byte[]> counts;

    Fold(Progress progress) {
        this.progress = progress;
    }

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
        this.context = context;
        recipients = context.getStateStore(RECIPIENTS);
        counts = context.getStateStore(COUNTS);
        context.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, this::tell);
    }

    @Override
    public void process(Record<String, byte[]> record) {
        progress.begins();
        Fact fact;
        try {
            fact = Fact.read(record.value());
        } catch (IOException unreadable) {
            throw new IllegalStateException(unreadable);
        }
        Recipient recipient = Recipient.decode(recipients.get(record.key()));
        int before = recipient.bucket(recipient.about(fact));
        Recipient.Message message = recipient.apply(fact);
        int after = recipient.bucket(message);
        recipients.put(record.key(), recipient.encode());
        if (before != after) {
            count(message.campaign, before, after);
        }
        progress.done();
    }

    private void count(String campaign, int before, int after) {
        Counts known = Counts.decode(counts.get(campaign));
        known.move(before, after);
        counts.put(campaign, known.encode());
        if (changed.isEmpty()) {
            progress.untold.incrementAndGet();
        }
        changed.add(campaign);
    }

    private void tell(long now) {
        if (changed.isEmpty()) {
            return;
        }
        for (String campaign : changed) {
            byte[] told = Counts.decode(counts.get(campaign)).json();
            context.forward(new Record<>(campaign + "/" + context.taskId().partition(), told, now));
        }
        changed.clear();
        progress.untold.decrementAndGet();
    }
}
