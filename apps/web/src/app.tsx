/** The page: sign-in, or the shell with the page that the address names. */
import { lazy, Suspense } from 'react';
import { Navigate, Route, Routes } from 'react-router';
import { useSession } from './api/session.js';
import { EePage } from './ees/ee.page.js';
import { EesPage } from './ees/ees.page.js';
import { ImagePage } from './images/image.page.js';
import { JobPage } from './jobs/job.page.js';
import { JobsPage } from './jobs/jobs.page.js';
import { CredentialsPage } from './resources/credentials.page.js';
import { InventoriesPage } from './resources/inventories.page.js';
import { InventoryPage } from './resources/inventory.page.js';
import { ProjectsPage } from './resources/projects.page.js';
import { LoginPage } from './shell/login.page.js';
import { NotFoundPage } from './shell/not-found.page.js';
import { PageShell } from './shell/page-shell.js';
import { TableSkeleton } from './shell/states.js';
import { StoragePage } from './storage/storage.page.js';
import { TemplatesPage } from './templates/templates.page.js';

const TemplatePage = lazy(() =>
  import('./templates/template.page.js').then((module) => ({ default: module.TemplatePage })),
);

/** Without a session every address is the sign-in page; the address stays, so signing in goes on where it was. */
export const App = () => {
  const { token } = useSession();
  if (!token) return <LoginPage />;
  return (
    <PageShell key={token}>
      <Suspense fallback={<TableSkeleton />}>
        <Routes>
          <Route path="/" element={<Navigate to="/jobs" replace />} />
          <Route path="/jobs" element={<JobsPage />} />
          <Route path="/jobs/:id/:tab?" element={<JobPage />} />
          <Route path="/templates" element={<TemplatesPage />} />
          <Route path="/templates/:id" element={<TemplatePage />} />
          <Route path="/projects" element={<ProjectsPage />} />
          <Route path="/inventories" element={<InventoriesPage />} />
          <Route path="/inventories/:id" element={<InventoryPage />} />
          <Route path="/execution-environments" element={<EesPage />} />
          <Route path="/execution-environments/:id" element={<EePage />} />
          <Route path="/images/:digest" element={<ImagePage />} />
          <Route path="/images/:digest/compare/:from" element={<ImagePage />} />
          <Route path="/credentials" element={<CredentialsPage />} />
          <Route path="/storage" element={<StoragePage />} />
          <Route path="*" element={<NotFoundPage />} />
        </Routes>
      </Suspense>
    </PageShell>
  );
};
