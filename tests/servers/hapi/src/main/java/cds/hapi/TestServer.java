package cds.hapi;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.ValueSetOperationProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import java.net.InetSocketAddress;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/** A port number to a FHIR R4 server on 127.0.0.1: HAPI's JPA server behind an embedded Jetty, base path /fhir. */
public final class TestServer {

    private TestServer() {}

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 1) {
            System.err.println("TestServer: wants one argument, the port to listen on, for example 8090.");
            System.exit(2);
        }
        int port = Integer.parseInt(arguments[0]);

        var spring = new AnnotationConfigApplicationContext(TestServerConfig.class);

        var context = new ServletContextHandler();
        context.addServlet(new ServletHolder(fhirServlet(spring)), "/fhir/*");
        var jetty = new Server(new InetSocketAddress("127.0.0.1", port));
        jetty.setHandler(context);
        jetty.setStopAtShutdown(true);
        try {
            jetty.start();
        } catch (Exception notStarted) {
            // HAPI's worker threads would keep a server alive that nobody can reach.
            System.err.println("TestServer: cannot listen on 127.0.0.1:" + port + ": " + notStarted);
            System.exit(1);
        }
        jetty.join();
    }

    private static RestfulServer fhirServlet(AnnotationConfigApplicationContext spring) {
        var servlet = new RestfulServer(spring.getBean(FhirContext.class));
        servlet.registerProviders(spring.getBean(ResourceProviderFactory.class).createProviders());
        servlet.registerProvider(spring.getBean(IJpaSystemProvider.class));
        servlet.registerProvider(spring.getBean(ValueSetOperationProvider.class));
        servlet.setPagingProvider(spring.getBean(DatabaseBackedPagingProvider.class));
        servlet.setDefaultResponseEncoding(EncodingEnum.JSON);
        servlet.setServerConformanceProvider(new JpaCapabilityStatementProvider(
                servlet,
                spring.getBean(IFhirSystemDao.class),
                spring.getBean(JpaStorageSettings.class),
                spring.getBean(ISearchParamRegistry.class),
                spring.getBean(IValidationSupport.class)));
        return servlet;
    }
}
