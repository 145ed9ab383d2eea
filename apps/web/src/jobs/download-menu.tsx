/** The output and the events of a job, as files. */
import { ActionIcon, Menu } from '@mantine/core';
import { Download } from 'lucide-react';
import { download } from '../api/download.js';

const FILES = [
  ['Output, plain text', 'stdout?format=plain&download=1'],
  ['Output with colours (ANSI)', 'stdout?format=ansi&download=1'],
  ['Output as a page (HTML)', 'stdout?format=html&download=1'],
  ['Events (NDJSON)', 'events.ndjson?download=1'],
] as const;

/** A menu of what can be saved. */
export const DownloadMenu = ({ jobId }: { jobId: string }) => (
  <Menu position="bottom-end" width={230}>
    <Menu.Target>
      <ActionIcon variant="subtle" color="gray" title="Download" aria-label="Download" data-testid="download">
        <Download size={16} />
      </ActionIcon>
    </Menu.Target>
    <Menu.Dropdown>
      {FILES.map(([label, path]) => (
        <Menu.Item key={path} onClick={() => download(`/api/jobs/${jobId}/${path}`)}>
          {label}
        </Menu.Item>
      ))}
    </Menu.Dropdown>
  </Menu>
);
