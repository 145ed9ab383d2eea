/** What is around every page: the bar at the top, the ways to go at the left. */
import {
  ActionIcon,
  AppShell,
  Burger,
  Group,
  Menu,
  NavLink,
  ScrollArea,
  Text,
  UnstyledButton,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import {
  Boxes,
  CircleUser,
  FolderGit2,
  HardDrive,
  KeyRound,
  LogOut,
  Moon,
  PlayCircle,
  Rocket,
  Server,
  Sun,
} from 'lucide-react';
import type { ReactNode } from 'react';
import { Link, useLocation } from 'react-router';
import { signOut } from '../api/session.js';
import { forgetAnswers, useQuery } from '../api/use-query.js';
import { meQuery } from '../resources/resource.queries.js';
import { Mark } from './brand.js';

const groups = [
  {
    title: 'Work',
    links: [
      { to: '/jobs', label: 'Jobs', icon: PlayCircle },
      { to: '/templates', label: 'Templates', icon: Rocket },
    ],
  },
  {
    title: 'Resources',
    links: [
      { to: '/projects', label: 'Projects', icon: FolderGit2 },
      { to: '/inventories', label: 'Inventories', icon: Server },
      { to: '/execution-environments', label: 'Execution Environments', icon: Boxes },
      { to: '/credentials', label: 'Credentials', icon: KeyRound },
    ],
  },
];

/** Only for who may see all organizations. */
const administration = {
  title: 'Administration',
  links: [{ to: '/storage', label: 'Storage', icon: HardDrive }],
};

const ColourSwitch = () => {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const other = scheme === 'dark' ? 'light' : 'dark';
  return (
    <ActionIcon
      variant="transparent"
      c="#e9f1f2"
      className="bar-button"
      size="lg"
      aria-label={`Use ${other} colours`}
      onClick={() => setColorScheme(other)}
    >
      {scheme === 'dark' ? <Sun size={18} /> : <Moon size={18} />}
    </ActionIcon>
  );
};

const leave = () => {
  forgetAnswers();
  signOut();
};

const UserMenu = () => {
  const { data } = useQuery(meQuery, {});
  const name = data?.me.username ?? '…';
  return (
    <Menu position="bottom-end" width={220} withArrow>
      <Menu.Target>
        <UnstyledButton className="bar-user" aria-label={`Signed in as ${name}`}>
          <CircleUser size={19} />
          <Text span fz="sm" visibleFrom="xs">
            {name}
          </Text>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {name}
          {data?.me.superuser ? ' · administrator' : data?.me.auditor ? ' · auditor' : ''}
        </Menu.Label>
        <Menu.Item leftSection={<LogOut size={15} />} onClick={leave} data-testid="logout">
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
};

/** The shell around a page. */
export const PageShell = ({ children }: { children: ReactNode }) => {
  const [open, { toggle, close }] = useDisclosure(false);
  const { pathname } = useLocation();
  const { data } = useQuery(meQuery, {});
  const shown = data?.me.superuser || data?.me.auditor ? [...groups, administration] : groups;
  return (
    <AppShell
      header={{ height: 50 }}
      navbar={{ width: 256, breakpoint: 'sm', collapsed: { mobile: !open } }}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <AppShell.Header className="bar">
        <a href="#content" className="skip">
          Skip to the content
        </a>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger
              opened={open}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              color="white"
              aria-label="Navigation"
            />
            <UnstyledButton
              component={Link}
              to="/jobs"
              className="bar-brand"
              aria-label="Gantry, to the jobs"
            >
              <Mark />
              <Text span fw={650} fz="lg">
                Gantry
              </Text>
            </UnstyledButton>
          </Group>
          <Group gap={4} wrap="nowrap">
            <ColourSwitch />
            <UserMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar className="nav" aria-label="Main">
        <ScrollArea p="sm">
          {shown.map((group) => (
            <div key={group.title} className="nav-group">
              <Text fz={11} fw={600} tt="uppercase" c="dimmed" px={10} mb={4} lts={0.6}>
                {group.title}
              </Text>
              {group.links.map(({ to, label, icon: Icon }) => {
                const here = pathname === to || pathname.startsWith(`${to}/`);
                return (
                  <NavLink
                    key={to}
                    component={Link}
                    to={to}
                    label={label}
                    active={here}
                    aria-current={here ? 'page' : undefined}
                    leftSection={<Icon size={17} strokeWidth={1.8} />}
                    onClick={close}
                    className="nav-link"
                  />
                );
              })}
            </div>
          ))}
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="content">{children}</AppShell.Main>
    </AppShell>
  );
};
