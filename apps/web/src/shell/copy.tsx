/** A short form of something long, to copy whole. */
import { CopyButton, Group, Text, Tooltip, UnstyledButton } from '@mantine/core';
import { Check, Copy } from 'lucide-react';

/** Shows `text` (or `short`) with a button that copies `text`. */
export const Copyable = ({ text, short, label }: { text: string; short?: string; label: string }) => (
  <CopyButton value={text}>
    {({ copied, copy }) => (
      <Tooltip
        label={copied ? 'Copied' : `Copy ${label}: ${text}`}
        multiline
        maw={480}
        style={{ wordBreak: 'break-all' }}
      >
        <UnstyledButton onClick={copy} aria-label={`Copy ${label}`} className="copyable">
          <Group gap={6} wrap="nowrap">
            <Text span ff="monospace" fz="xs" className={short ? 'nowrap' : 'wrap-anywhere'}>
              {short ?? text}
            </Text>
            {copied ? <Check size={13} /> : <Copy size={13} />}
          </Group>
        </UnstyledButton>
      </Tooltip>
    )}
  </CopyButton>
);
